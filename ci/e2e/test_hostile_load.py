"""Under the worst attacks no pod of the chart is restarted, and honest clients get answers.

All attacks are in apps/*/tests/attacks.py, where they are tested against a single process in a control group.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ci import python
from ci.cache import CHECKOUT
from ci.e2e.cluster import URLS, Workspace, ask

pytestmark = pytest.mark.full
SECONDS = 5  # of each attack
WORST = {
    "classifier": (
        "PNG 7000 x 7000 RGBA",
        "PNG 10,000,000 x 1",
        "JPEG of 40,000 scans, 4 MB",
        "OIP: 8,000 outputs",
        "60 uploads of 10 MB, no end",
        "trailers without end",
    ),
    "lm": ("12 prompts of 1 MB", "messages: 340,000 objects", "60 streams, never read", "trailers without end"),
}
HONEST = {
    "classifier": ("/predict", {"features": [0] * 784}),
    "lm": ("/generate", {"prompt": "The capital of France is", "max_new_tokens": 2}),
}


@pytest.fixture
def one_pod(installed: Workspace) -> Iterator[Callable[[str], Workspace]]:
    """Limits an app to one pod."""

    def scaled(app: str) -> Workspace:
        installed.helmfile("apply", "--suppress-diff", "--state-values-set", f"{app}.autoscaling.maxReplicas=1")
        installed.wait("one pod", lambda: installed.ready(app) == len(installed.pods(app)) == 1, 300)
        return installed

    yield scaled
    installed.helmfile("apply", "--suppress-diff")


@contextmanager
def attacked(app: str, name: str) -> Iterator[None]:
    """Attack the app's release from a separate process."""
    command = [str(python.executable()), "-m", "apps.serving.tests.attacks", app, name, "--url", URLS[app]]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            assert attacker.stdout and attacker.stdout.readline() == "begun\n"
            yield
        finally:
            attacker.terminate()
            print(name, *attacker.stdout or ())


@pytest.mark.parametrize("app", WORST)
def test_no_attack_restarts_a_pod_and_honest_clients_are_answered(one_pod, app: str):
    workspace, (path, body) = one_pod(app), HONEST[app]
    (before,) = workspace.pods(app)
    for name in WORST[app]:
        with attacked(app, name):
            deadline, statuses = time.monotonic() + SECONDS, set()
            while time.monotonic() < deadline:
                statuses.add(ask(f"{URLS[app]}{path}", body)[0])
        assert statuses <= {200, 503}, name
        assert ask(f"{URLS[app]}{path}", body)[0] == 200, name
    (after,) = workspace.pods(app)
    (container,) = after["status"]["containerStatuses"]
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert container["restartCount"] == 0, container["lastState"]
