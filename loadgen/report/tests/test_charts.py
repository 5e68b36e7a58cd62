"""The charts' data: what each panel shows of a document."""

from loadgen.report.charts import end, panels
from loadgen.report.tests import documents


def by_id(document):
    return {panel["id"]: panel for panel in panels(document)}


def series(panel, name):
    (line,) = [line for line in panel["series"] if line["name"] == name]
    return line


def test_without_a_cluster_there_are_rate_and_latency():
    assert list(by_id(documents.run())) == ["rate", "latency"]


def test_answers_are_shown_when_they_arrived():
    document = documents.run()
    document["timeline"]["answered"] = late = [0, *document["timeline"]["due"][:-1]]
    assert series(by_id(document)["rate"], "answered")["y"] == late


def test_failures_have_a_panel_only_if_there_were_any():
    document = documents.run()
    document["timeline"]["failed"][40] = 3
    assert series(by_id(document)["errors"], "failed")["y"][40] == 3


def test_the_cluster_stands_on_the_same_axis():
    document = documents.observed()
    made = by_id(document)
    assert list(made) == ["rate", "latency", "cpu", "replicas", "pods", "events"]
    assert series(made["cpu"], "CPU as the autoscaler saw it")["y"] == [25, 100, 60]
    ready = series(made["replicas"], "ready")
    assert (ready["x"], ready["y"]) == ([-5, 60], [1, 2]), "equal values in a row are one step"
    assert end(document) == 120.2, "the end of the last request"
    document["cluster"]["events"][0]["t"] = 400.0
    assert end(document) == 400, "what is observed after the load is shown too"


def test_a_pod_is_a_bar_from_its_creation_to_its_end():
    document = documents.observed()
    document["cluster"]["pods"][1] = documents.pod("classifier-service-1-bbbbb", 50.2, 60, gone=100)
    rows = by_id(document)["pods"]["rows"]
    assert rows[0]["segments"] == [["ready", 0.0, end(document)]]
    assert rows[1]["segments"] == [
        ["pending", 50.2, 51.2],
        ["starting", 51.2, 60],
        ["ready", 60, 95],
        ["terminating", 95, 100],
    ]


def test_a_pod_that_never_started_is_pending_to_the_end():
    document = documents.observed()
    waiting = documents.pod("classifier-service-1-ccccc", 60, 70)
    document["cluster"]["pods"].append({**waiting, "scheduled": None, "started": None, "ready": [[60, False]]})
    assert by_id(document)["pods"]["rows"][2]["segments"] == [["pending", 60, end(document)]]
