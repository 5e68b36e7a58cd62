"""Package, chart and changelog are at one version, and the changelog's versions are in order."""

import datetime
import re
import tomllib

import yaml

from ci.cache import CHECKOUT

HEADINGS = re.findall(r"^## (.*)$", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+) - (\d{4}-\d\d-\d\d)")


def test_package_and_chart_have_the_version_of_the_changelogs_last_release():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHECKOUT / "charts/inference-service/Chart.yaml").read_text())
    version = HEADINGS[1].partition(" ")[0]
    assert (project["version"], chart["version"], str(chart["appVersion"])) == (version,) * 3


def test_the_changelog_begins_with_what_is_unreleased_and_goes_back_in_versions_and_dates():
    releases = [match for heading in HEADINGS[1:] if (match := RELEASE.fullmatch(heading))]
    assert HEADINGS[0] == "Unreleased" and len(releases) == len(HEADINGS) - 1, HEADINGS
    versions = [tuple(map(int, release.group(1, 2, 3))) for release in releases]
    dates = [datetime.date.fromisoformat(release[4]) for release in releases]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_changes_are_grouped_as_keep_a_changelog_groups_them():
    groups = re.findall(r"^### (.*)$", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert set(groups) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
