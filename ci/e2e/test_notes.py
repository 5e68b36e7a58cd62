"""The commands in the release's notes work as pasted."""

import re

import pytest

from ci.e2e.cluster import Workspace
from ci.e2e.test_switch import CHART

pytestmark = pytest.mark.full


@pytest.mark.parametrize(
    ("app", "answer"), [("classifier", '"label":'), ("lm", '"generated_text":')], ids=["classifier", "lm"]
)
def test_every_command_of_the_notes_works_as_pasted(installed: Workspace, app: str, answer: str):
    release = f"{app}-service"
    second = ["--set", "service.annotations.note=second"]  # a rollback needs a second revision
    installed.helm("upgrade", release, CHART, "--reuse-values", *second, "--wait")
    notes = installed.helm("get", "notes", release).stdout
    superseded = [revision for revision, status in installed.history(release) if status == "superseded"]
    notes = notes.replace("REVISION", str(superseded[-1]))
    commands = re.findall(r"^  (helm .+|kubectl .+|curl .+|python3 .+)$", notes.partition("Call it:")[2], re.M)
    pasted = "\n".join(
        f"{command}\nended=$?; echo; echo command {n} ended $ended" for n, command in enumerate(commands)
    )
    done = installed.run("bash", "-c", f"trap 'kill $(jobs -p)' EXIT\n{pasted}")
    printed = done.stdout + done.stderr
    assert re.findall(r"^command \d+ ended (\d+)", printed, re.M) == ["0"] * 6, printed
    assert '"status":"ready"' in printed and answer in printed and printed.count("Succeeded") == 3, printed
    assert "note" not in installed.get("service", release)["metadata"]["annotations"]
