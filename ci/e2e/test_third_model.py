"""The steps in the chart's README add a third model in five minutes: a forest of digits, and a pipeline on a table."""

import json
import re
import shlex
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from ci import python
from ci.cache import CHECKOUT
from ci.chart import rendering
from ci.chart.rendering import CHART
from ci.e2e.cluster import Workspace
from ci.e2e.test_engine_switch import logs

pytestmark = pytest.mark.full

FOREST, TABLE = "A third model, in five minutes", "A model of a table, in five minutes"
MINUTES = 5


@pytest.fixture
def checkout(installed: Workspace) -> Iterator[Workspace]:
    """The copy with the code that trains and publishes; the third release is removed at the end."""
    for part in ("training", "apps"):
        shutil.copytree(CHECKOUT / part, installed.folder / part, dirs_exist_ok=True)
    for module in (CHECKOUT / "models").glob("*.py"):
        shutil.copy(module, installed.folder / "models")
    shutil.copy(CHECKOUT / "pyproject.toml", installed.folder)
    helmfile = installed.folder / "helmfile.yaml.gotmpl"
    before = helmfile.read_text()
    yield installed
    for release in ("digits-small-service", "houses-service"):
        installed.helm("uninstall", release, "--ignore-not-found", "--wait")
    helmfile.write_text(before)


@pytest.fixture
def forwarded(checkout: Workspace) -> Iterator[Callable[[str], str]]:
    """Return a function that forwards a port of this machine to a Service, and returns its URL."""
    started = []

    def forward(service: str) -> str:
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            port = listener.getsockname()[1]
        started.append(checkout.start("kubectl", "port-forward", f"service/{service}", f"{port}:8000"))
        checkout.wait("the port", lambda: listens(port), 30)
        return f"http://127.0.0.1:{port}"

    yield forward
    for process in started:
        process.terminate()
        process.communicate()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def codes(title: str, word: str) -> list[str]:
    """Return the code of a section's prose that has a word, in its order."""
    section = (CHART / "README.md").read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [code for code in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", section, flags=re.S)) if word in code]


def run(checkout: Workspace, command: str, interpreter: object = None, check: bool = True) -> str:
    """Run a command of the README; return what it prints."""
    command = command.replace("python", shlex.quote(str(interpreter or python.executable())), 1)
    done = checkout.run("bash", "-ec", command, check=check)
    return done.stdout + done.stderr


def test_readmes_third_model_serves_within_five_minutes(checkout: Workspace):
    (values,) = rendering.readme_yaml(FOREST)
    train, values_file, add, install, *_ = codes(FOREST, "digits")
    started = time.monotonic()
    run(checkout, train)
    (checkout.folder / values_file).write_text(values)
    run(checkout, add)
    assert run(checkout, install).count("Succeeded") == 3
    assert time.monotonic() - started < 60 * MINUTES


def test_readmes_model_of_a_table_serves_within_five_minutes(checkout: Workspace, forwarded: Callable[[str], str]):
    (values,) = rendering.readme_yaml(TABLE)
    train, _, _, register, values_file, add, install, _, load, *_ = codes(TABLE, "houses")
    # The environment of conversions has scikit-learn and pandas.
    conversion = run(checkout, "python -c 'from training import environments as e; print(e.ready(\"onnx\"))'").strip()
    started = time.monotonic()
    run(checkout, train, f"{conversion}/python")
    run(checkout, register)
    (checkout.folder / values_file).write_text(values)
    run(checkout, add)
    assert run(checkout, install).count("Succeeded") == 3
    url = forwarded("houses-service")
    with urllib.request.urlopen(f"{url}/") as page:
        assert b'src="form.js"' in page.read()
    notes = checkout.helm("get", "notes", "houses-service").stdout
    (call,) = re.findall(r"^  (curl .+/predict)$", notes, re.M)
    assert '"value":' in run(checkout, call.replace("http://127.0.0.1:8000", url))
    load = load.replace("http://127.0.0.1:8000", url).replace("houses.csv", str(checkout.folder / "houses.csv"))
    # It ends with 98 where other programs keep the generator from sending in time.
    printed = run(checkout, f"cd {CHECKOUT} && {load} --rate 20 --duration-seconds 5", check=False)
    assert re.search(r"^requests +100 .*\n^failed +0$", printed, re.M), printed
    assert time.monotonic() - started < 60 * MINUTES


def test_the_image_of_forests_names_the_one_with_a_models_engine(installed: Workspace):
    models, release = installed.folder / "models", "classifier-service"
    shutil.copy(models / "mnist_rf_v1.joblib", models / "own_v1.onnx")  # is not read: the engine comes first
    manifest = installed.manifest("mnist_rf_v1") | {"name": "own", "engine": "onnx"}
    (models / "own_v1.json").write_text(json.dumps(manifest))
    values = "model.name=own,model.path=own_v1.onnx"
    installed.helm("upgrade", release, "charts/inference-service", "--reuse-values", "--set", values)
    reason = "Use the image classifier-service:v1-onnx"
    installed.wait("the reason in the pod's log", lambda: reason in logs(installed, release), 120)
    installed.helm("rollback", release, "--wait", "--timeout=5m")
