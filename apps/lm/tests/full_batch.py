"""`python -m apps.lm.tests.full_batch` measures how long the chart's values give a full batch of the shipped model.

The process has the memory and the CPUs of the pod. Each of the largest answers that fit into the batch together needs
`seconds`; the chart's warning, in templates/_warnings.tpl, computes with their ratio to the budget.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from apps.lm.settings import BATCH
from apps.lm.tests import process
from apps.serving.tests.control_group import control_group
from apps.serving.tests.pod import Pod
from apps.serving.tests.processes import ROOT

PROMPT = "Once upon a time"


@dataclass(frozen=True)
class FullBatch:
    """`budget` is MAX_TOTAL_TOKENS; `answers` are the JSON documents of /v1/completions."""

    cpus: float
    budget: int
    seconds: float
    answers: Sequence[dict]

    def __str__(self) -> str:
        load = f"{len(self.answers)} answers of {self.budget} tokens with {self.cpus:g} CPU"
        return f"{load}: {self.seconds:.1f} s, {self.rate:.3f} s a token"

    @property
    def rate(self) -> float:
        """Seconds per token of the budget, on one CPU."""
        return self.seconds * self.cpus / self.budget


def measure(folder: Path) -> FullBatch:
    """Serve `folder` as the chart does, and let it compute as many of the largest answers as it takes at once."""
    pod = Pod.of("lm")
    settings = {"model_name": folder, **{name.lower(): value for name, value in pod.environment.items()}}
    with control_group(pod.memory, pod.cpus) as group, process.starting(**settings) as service:
        group.add(service.popen.pid)
        service.expect("ready", process.SECONDS)
        with process.client(service) as client, ThreadPoolExecutor(BATCH) as pool:
            client.timeout = httpx.Timeout(2 * pod.request_timeout)
            model = client.get("/healthz").json()["model"]
            bodies = [{"model": model["name"], "prompt": f"{PROMPT} {number}"} for number in range(BATCH)]
            answers = list(pool.map(lambda body: _complete(client, model["max_total_tokens"], body), bodies))
    seconds = max(answer.elapsed.total_seconds() for answer in answers)
    return FullBatch(pod.cpus, model["max_total_tokens"], seconds, [answer.json() for answer in answers])


def _complete(client: httpx.Client, budget: int, body: dict[str, object]) -> httpx.Response:
    return client.post("/v1/completions", json=body | {"max_tokens": budget, "ignore_eos": True, "temperature": 0})


if __name__ == "__main__":
    print(measure(ROOT / "models/smollm2-135m-instruct_v1"))
