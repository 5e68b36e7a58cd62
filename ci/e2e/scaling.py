"""Load on a release, and what its autoscaler makes of it."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from ci import python
from ci.cache import CHECKOUT
from ci.e2e.cluster import URLS, Workspace

PATHS = {"classifier": "predict", "lm": "generate"}


@dataclass
class Scaling:
    """The report of a load, and each change of the number of pods: (seconds since its start, all pods, ready pods)."""

    report: dict[str, Any]
    changes: list[tuple[float, int, int]]

    def seconds_to(self, pods: int, ready: bool = True) -> float | None:
        """Seconds until so many pods were ready, or else ordered; None if they never were."""
        return next((moment for moment, *counts in self.changes if counts[ready] >= pods), None)

    @property
    def most(self) -> int:
        """The most pods that were ready at once."""
        return max(ready for _, _, ready in self.changes)

    @property
    def pod_seconds(self) -> float:
        """All pods, starting ones included, summed over the time of the load."""
        end = self.report["run"]["elapsed_seconds"]
        changes = [*(change for change in self.changes if change[0] < end), (end, 0, 0)]
        return sum((after[0] - before[0]) * before[1] for before, after in pairwise(changes))

    def slower_than(self, seconds: float) -> int:
        """Requests that took longer than `seconds`, or failed."""
        return sum(one["outcome"] != "ok" or one["end"] - one["intended"] > seconds for one in self.report["requests"])


@contextmanager
def scaled(workspace: Workspace, app: str, pods: int = 1, **values: Any) -> Iterator[None]:
    """The release with these values of the chart, beginning with so many pods; then as before."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({app: values}, file)
        workspace.helmfile("apply", "--suppress-diff", "--state-values-file", file.name)
    try:
        wait_for_pods(workspace, app, pods)
        yield
    finally:
        workspace.helmfile("apply", "--suppress-diff")


def wait_for_pods(workspace: Workspace, app: str, pods: int) -> None:
    """Waits until the release has so many pods, all ready."""
    workspace.wait(f"{pods} pods", lambda: workspace.ready(app) == len(workspace.pods(app)) == pods, 300)


def load(workspace: Workspace, app: str, users: int, seconds: int, *options: str) -> Scaling:
    """Sends load, with further options of loadgen, and notes the number of pods meanwhile."""
    changes: list[tuple[float, int, int]] = []
    columns = 'jsonpath={.status.replicas} {.status.readyReplicas}{"\\n"}'
    watch = workspace.start("kubectl", "get", f"deployment/{app}-service", "--watch", f"--output={columns}")
    begun = time.monotonic()

    def note() -> None:
        assert watch.stdout
        for line in watch.stdout:
            replicas, ready = (int(count) for count in [*line.split(), "0", "0"][:2])
            changes.append((time.monotonic() - begun, replicas, ready))

    noting = threading.Thread(target=note)
    with watch:
        noting.start()
        try:
            with tempfile.TemporaryDirectory() as folder:
                report = Path(folder) / "run.json"
                words = [str(python.executable()), "-m", "loadgen", app, "--url", f"{URLS[app]}/{PATHS[app]}"]
                words += ["--duration-seconds", str(seconds), "--concurrency", str(users), "--output", str(report)]
                workspace.run("env", f"PYTHONPATH={CHECKOUT}", *words, *options, timeout=seconds + 120, check=False)
                return Scaling(json.loads(report.read_text()), changes)
        finally:
            watch.terminate()
            noting.join()
