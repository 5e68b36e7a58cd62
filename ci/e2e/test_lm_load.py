"""The language model under load: its largest batches fit its memory limit."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ci.e2e.cluster import URLS, Workspace, ask

pytestmark = pytest.mark.full


@pytest.fixture
def max_pods(installed: Workspace) -> Iterator[Callable[[int], Workspace]]:
    """Begin with one pod and a maximum for the autoscaler."""

    def scaled(pods: int) -> Workspace:
        installed.helmfile("apply", "--suppress-diff", "--state-values-set", f"lm.autoscaling.maxReplicas={pods}")
        installed.wait("one pod at rest", lambda: installed.at_rest("lm"), 300)
        return installed

    yield scaled
    installed.helmfile("apply", "--suppress-diff")


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
