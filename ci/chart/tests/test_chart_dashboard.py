"""Grafana can import the dashboard's JSON: it has a unique id and complete panels that do not overlap."""

import json

import pytest

from ci.chart import rendering
from ci.chart.rendering import APPS, CHART, of_kind


def dashboard(app: str, release: str, namespace: str) -> dict:
    values = (f"--values={CHART}/values-{app}.yaml", "--set=dashboard.enabled=true", f"--namespace={namespace}")
    (config_map,) = of_kind(rendering.template(*values, release=release), "ConfigMap").values()
    return json.loads(config_map["data"][f"{namespace}-{release}.json"])


@pytest.mark.parametrize("app", APPS)
def test_panels_are_complete_and_do_not_overlap(app):
    panels = dashboard(app, "r", "inference")["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"] and panel["datasource"]["uid"] == "${datasource}"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_only_the_language_models_shows_tokens():
    titles = {app: {panel["title"] for panel in dashboard(app, "r", "inference")["panels"]} for app in APPS}
    tokens = {"Tokens a second", "Time to first token", "Inter-token latency"}
    assert titles["lm"] - titles["classifier"] == tokens and titles["classifier"] < titles["lm"]


def test_each_release_has_its_own_constant_uid():
    releases = [("a", "b-c"), ("a-b", "c"), ("b-c", "a"), ("n" * 53, "m" * 63)]
    uids = [dashboard("classifier", *release)["uid"] for release in releases]
    assert len(set(uids)) == len(uids) and all(len(uid) <= 40 for uid in uids), "Grafana takes 40 characters"
    assert uids == [dashboard("classifier", *release)["uid"] for release in releases]
