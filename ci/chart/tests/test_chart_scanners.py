"""The findings of policy scanners are exactly those that the chart's README answers."""

import json
import re
from pathlib import Path

import pytest

from ci.chart import rendering
from ci.chart.rendering import CHART, ENVIRONMENTS
from ci.tools import extra

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A file of each environment's objects, test pods included."""
    folder = tmp_path_factory.mktemp("manifests")
    for environment in ENVIRONMENTS:
        command = ("helmfile", "--quiet", "--environment", environment, "template")
        text = rendering.succeed(*command, cwd=rendering.checkout())
        (folder / f"{environment}.yaml").write_text(text)
    return sorted(folder.iterdir())


def checkov(path: Path) -> set[str]:
    """Ids of the checks that fail."""
    options = ["--framework=kubernetes", "--output=json", "--quiet", "--compact", "--skip-download"]
    report = json.loads(rendering.run(extra.checkov(), "--file", path, *options).stdout)
    assert report["summary"]["passed"] > 400
    return {check["check_id"] for check in report["results"]["failed_checks"]}


def kube_score(path: Path) -> set[str]:
    """Ids of the checks with less than the best grade."""
    extra.build("kube-score")
    program = extra.folder("kube-score") / "kube-score"
    scored = json.loads(rendering.run(program, "score", "--output-format=json", path).stdout)
    checks = [check for scored_object in scored for check in scored_object["checks"]]
    assert len(checks) > 200
    return {check["check"]["id"] for check in checks if not check["skipped"] and check["grade"] < 10}


def test_findings_are_exactly_those_answered_in_the_readme(manifests):
    section = (CHART / "README.md").read_text().partition("## What scanners ask")[2].partition("\n## ")[0]
    answered = {name for row in re.findall(r"\|([^|\n]*)\|$", section, re.M) for name in re.findall(r"`(.+?)`", row)}
    findings = {name for path in manifests for scan in (checkov, kube_score) for name in scan(path)}
    assert findings == answered
