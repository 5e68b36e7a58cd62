"""The language model stays ahead of two other servers of the same weights.

Both servers run at once and are measured in turn, because the machine's speed varies over minutes. A measurement starts
once both are idle: vLLM computes for a second after its last answer.
"""

import os
import time
from contextlib import ExitStack
from functools import partial
from statistics import median

import pytest

from ci.benchmarks import lm_load
from ci.benchmarks.contender import free_port, trained_model
from ci.benchmarks.lm_contenders import NAME, contenders
from ci.benchmarks.lm_load import StreamResult
from ci.benchmarks.process import Server
from ci.run import Failed

pytestmark = [pytest.mark.service, pytest.mark.full]

CONCURRENCY, PROMPT_TOKENS = 8, (32, 128)
NOISE = 1.15
REST_SECONDS, REST_SHARE, DEADLINE_SECONDS = 0.2, 0.05, 30  # REST_SHARE of a core, over REST_SECONDS


def alternate(names: tuple[str, ...], rounds: int) -> dict[tuple[str, int], list[StreamResult]]:
    """Return the results of `rounds` for each server and each length of the prompts."""
    try:
        for version in ("v1", "v2"):
            trained_model(f"{NAME}_{version}", "python -m training lm")
    except Failed as failure:
        pytest.skip(f"{failure.problem}: ci/test full trains it, or {failure.remedy}")
    servers = {server.name: server for server in contenders()}
    results: dict[tuple[str, int], list[StreamResult]] = {(name, n): [] for name in names for n in PROMPT_TOKENS}
    with ExitStack() as stack:
        ports, processes = {name: free_port() for name in names}, []
        for name, port in ports.items():
            servers[name].environment.install()
            cores = sorted(os.sched_getaffinity(0))[-2:]
            processes.append(stack.enter_context(servers[name].start(port, cores)))
            processes[-1].wait_for(partial(servers[name].responds, port))
        for _ in range(1 + rounds):
            for name, tokens in results:
                wait_for_rest(processes)
                prompts = lm_load.prompts(tokens, CONCURRENCY)
                results[name, tokens].append(lm_load.complete(ports[name], servers[name].model, prompts))
    assert not any(result.failures for all_rounds in results.values() for result in all_rounds)
    return {key: all_rounds[1:] for key, all_rounds in results.items()}  # the first round warms the servers up


def wait_for_rest(processes: list[Server]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(process.cpu_share(REST_SECONDS) > REST_SHARE for process in processes):
        assert time.monotonic() < deadline, "a server keeps computing"


# Usual ratios: 3.8 to 4.7 to generate's rate; to vLLM's 1.6 to 1.9 with prompts of 32 tokens and 2.0 to 2.3 with 128,
# with a p99 of 0.7 to 0.9 of its. The figures come from `ci/bench lm`; this test fails only if the lead is lost.
@pytest.mark.parametrize(
    ("ours", "peer", "min_ratios", "rounds"),
    [
        ("ours, torch", "generate behind FastAPI", {32: 3.0, 128: 3.0}, 3),
        ("ours, openvino", "vLLM", {32: 1.5, 128: 1.5}, 11),
    ],
)
def test_tokens_per_second_are_higher_and_inter_token_latency_is_no_higher_than_the_peers(
    ours: str, peer: str, min_ratios: dict[int, float], rounds: int
):
    results = alternate((ours, peer), rounds)
    for tokens in PROMPT_TOKENS:
        rates = {name: median(result.rate for result in results[name, tokens]) for name in (ours, peer)}
        p99s = {name: median(r.inter_token_seconds(99) for r in results[name, tokens]) for name in (ours, peer)}
        print(f"prompts of {tokens} tokens: tokens/s {rates}, p99 of inter-token latency {p99s} s")
        assert rates[ours] >= min_ratios[tokens] * rates[peer]
        assert p99s[ours] <= NOISE * p99s[peer]
