"""The steps in the chart's README add a third model in five minutes."""

import re
import shlex
import shutil
import time
from collections.abc import Iterator

import pytest

from ci import python
from ci.cache import CHECKOUT
from ci.chart import rendering
from ci.chart.rendering import CHART
from ci.e2e.cluster import Workspace

pytestmark = pytest.mark.full

TITLE = "A third model, in five minutes"


@pytest.fixture
def checkout(installed: Workspace) -> Iterator[Workspace]:
    """The copy with the code that trains and publishes; the third release is removed at the end."""
    for part in ("training", "apps"):
        shutil.copytree(CHECKOUT / part, installed.folder / part, dirs_exist_ok=True)
    for module in (CHECKOUT / "models").glob("*.py"):
        shutil.copy(module, installed.folder / "models")
    helmfile = installed.folder / "helmfile.yaml.gotmpl"
    before = helmfile.read_text()
    yield installed
    installed.helmfile("--selector", "name=digits-small-service", "destroy")
    helmfile.write_text(before)


def test_readmes_third_model_serves_within_five_minutes(checkout: Workspace):
    section = (CHART / "README.md").read_text().partition(f"## {TITLE}\n")[2].partition("\n## ")[0]
    (values,) = rendering.readme_yaml(TITLE)
    prose = re.sub(r"```.*?```", "", section, flags=re.S)
    train, values_file, add, install, *_ = (code for code in re.findall(r"`(.+?)`", prose) if "digits" in code)
    started = time.monotonic()
    checkout.run("bash", "-ec", train.replace("python", shlex.quote(str(python.executable())), 1))
    (checkout.folder / values_file).write_text(values)
    checkout.run("bash", "-ec", add)
    done = checkout.run("bash", "-ec", install)
    assert (done.stdout + done.stderr).count("Succeeded") == 3
    assert time.monotonic() - started < 300
