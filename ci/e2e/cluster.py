"""Access to the cluster under test: kubectl, helm, helmfile, HTTP, and one way to wait."""

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMESPACE = "inference-test"
URLS = {"classifier": "http://127.0.0.1:30180", "lm": "http://127.0.0.1:30181"}


@dataclass
class Workspace:
    """A copy of the checkout's chart, helmfile and models, so that a test may edit what a user would edit."""

    folder: Path
    environment: Mapping[str, str]
    namespace: str = NAMESPACE

    def run(
        self, *words: str, timeout: float = 420, check: bool = True, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the copy with the tools of ci/env; an error has its whole output."""
        options: dict[str, Any] = {"cwd": self.folder, "env": {**os.environ, **self.environment}, "text": True}
        done = subprocess.run(words, **options, capture_output=True, timeout=timeout, input=input)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts a command in this namespace that runs until it is terminated."""
        environment = {**os.environ, **self.environment}
        command = [*words, "--namespace", self.namespace]
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True)

    def helmfile(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("helmfile", *words, **options)

    def helm(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("helm", *words, "--namespace", self.namespace, **options)

    def kubectl(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("kubectl", "--namespace", self.namespace, *words, **options)

    def get(self, *words: str) -> dict[str, Any]:
        return json.loads(self.kubectl("get", *words, "--output=json").stdout)

    def pods(self, app: str) -> list[dict[str, Any]]:
        """The release's serving pods that are not terminating."""
        labels = f"app.kubernetes.io/instance={app}-service"
        serving = self.endpoints(app)
        pods = self.get("pods", f"--selector={labels}")["items"]
        return [p for p in pods if p["metadata"]["name"] in serving and "deletionTimestamp" not in p["metadata"]]

    def endpoints(self, app: str) -> set[str]:
        """The names of all pods that are endpoints of the release's Service."""
        slices = self.get("endpointslices", f"--selector=kubernetes.io/service-name={app}-service")["items"]
        return {entry["targetRef"]["name"] for part in slices for entry in part.get("endpoints") or []}

    def ready(self, app: str) -> int:
        """Number of the release's pods that are ready."""
        return self.get("deployment", f"{app}-service")["status"].get("readyReplicas", 0)

    def at_rest(self, app: str) -> bool:
        """Whether the release has one pod, which is ready."""
        return self.ready(app) == len(self.pods(app)) == 1

    def history(self, release: str) -> list[tuple[int, str]]:
        """Revision and status of each of a release's revisions, oldest first."""
        history = self.helm("history", release, "--output=json").stdout
        return [(entry["revision"], entry["status"]) for entry in json.loads(history)]

    def manifest(self, version_id: str) -> dict[str, Any]:
        return json.loads((self.folder / "models" / f"{version_id}.json").read_text())

    def edit_version(self, app: str, version: str) -> None:
        """Switches the version as a user does: edits one line of the values file."""
        values = self.folder / f"charts/inference-service/values-{app}.yaml"
        lines = values.read_text().splitlines()
        (line,) = [n for n, text in enumerate(lines) if text.startswith("  version: ")]
        lines[line] = f"  version: {version}"
        values.write_text("\n".join(lines) + "\n")

    def wait(self, event: str, condition: Callable[[], object], seconds: float) -> None:
        """Returns when `condition()` is true; fails after `seconds` with the namespace's pods and events."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                state = self.kubectl("get", "pods,hpa,deployments", "--output=wide", check=False).stdout
                events = self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False).stdout
                raise AssertionError(f"waited {seconds:.0f} s for {event}\n{state}\n{events[-3000:]}")
            time.sleep(0.5)


def ask(url: str, body: object = None, timeout: float = 60) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a GET, or of a POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@contextmanager
def client(url: str, body: object, *members: str) -> Iterator[list[tuple[object, ...]]]:
    """Posts `body` repeatedly, each time on a new connection; collects status and these members of each answer.

    If a request gets no answer, its error takes the place of the status.
    """
    answers: list[tuple[object, ...]] = []
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            try:
                status, answer = ask(url, body)
                answers.append((status, *(answer.get(member) for member in members)))
            except OSError as error:
                answers.append((repr(error), *(None for _ in members)))

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()
