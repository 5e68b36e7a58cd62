"""The language model under load: two users scale it to three pods; its largest batches fit its memory limit."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from ci import python
from ci.cache import CHECKOUT
from ci.e2e.cluster import URLS, Workspace, ask

pytestmark = pytest.mark.full


@pytest.fixture
def max_pods(installed: Workspace) -> Iterator[Callable[[int], Workspace]]:
    """Begin with one pod and a maximum for the autoscaler."""

    def scaled(pods: int) -> Workspace:
        installed.helmfile("apply", "--suppress-diff", "--state-values-set", f"lm.autoscaling.maxReplicas={pods}")
        installed.wait("one pod at rest", lambda: installed.ready("lm") == len(installed.pods("lm")) == 1, 300)
        return installed

    yield scaled
    installed.helmfile("apply", "--suppress-diff")


def cold_starts(workspace: Workspace) -> dict[str, float]:
    """Seconds from each pod's creation until it was ready."""
    seconds: dict[str, float] = {}
    for pod in workspace.pods("lm"):
        (ready,) = [state for state in pod["status"]["conditions"] if state["type"] == "Ready"]
        moments = (pod["metadata"]["creationTimestamp"], ready["lastTransitionTime"])
        created, ready_at = (datetime.fromisoformat(moment) for moment in moments)
        seconds[pod["metadata"]["name"]] = (ready_at - created).total_seconds()
    return seconds


def test_two_users_scale_to_three_pods_and_back_without_a_failed_request(max_pods, tmp_path: Path):
    three = max_pods(3)
    report = tmp_path / "run.json"
    load = [str(python.executable()), "-m", "loadgen", "lm", "--url", f"{URLS['lm']}/generate", "--output", str(report)]
    options = ["--duration-seconds", "240", "--concurrency", "2", "--max-new-tokens", "40"]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(three.run, "env", f"PYTHONPATH={CHECKOUT}", *load, *options, check=False)
        three.wait("three pods", lambda: three.ready("lm") == 3, 230)
        started = cold_starts(three)
        print(running.result().stdout, f"seconds from creation to ready: {started}", sep="\n")
    summary = json.loads(report.read_text())["summary"]
    assert summary["failed"] == 0, summary["errors"]
    assert {entry["pod"] for entry in summary["served_by"]} == set(started)
    three.wait("one pod again", lambda: three.ready("lm") == 1, 300)


def test_the_largest_batches_stay_within_the_memory_limit(max_pods):
    workspace = max_pods(1)
    for count, words in ((16, 100), (8, 228)):  # most sequences, and longest sequences; both times 2048 tokens
        body = {"prompt": "one " * words, "max_new_tokens": 2048 // count - words - 1}
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(lambda _, body=body: ask(f"{URLS['lm']}/generate", body), range(count)))
        assert {code for code, _ in answers} == {200}, answers
        assert sum(answer["usage"]["total_tokens"] for _, answer in answers) > 0.95 * 2048
    (pod,) = workspace.pods("lm")
    (container,) = pod["status"]["containerStatuses"]
    assert container["restartCount"] == 0
    status = workspace.kubectl("exec", pod["metadata"]["name"], "--", "cat", "/proc/1/status").stdout
    (peak,) = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")]
    print(f"at most {peak / 2**20:.0f} MiB resident")
    assert 2**29 < peak < 0.9 * 2 * 2**30, "at least the weights, and at most 90% of the limit of 2 GiB"
