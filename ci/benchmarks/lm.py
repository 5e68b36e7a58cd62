"""`ci/bench lm`: the language model and other servers of the same weights on CPUs."""

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ci.benchmarks import contender, lm_contenders, lm_load, memory
from ci.benchmarks.contender import PEERS, free_port, trained_model
from ci.benchmarks.lm_contenders import NAME, TORCH, LanguageModelServer
from ci.benchmarks.process import Server
from ci.benchmarks.report import Measure, Row
from ci.run import output


@dataclass(frozen=True)
class Setup:
    """CPUs of the server, whether another process computes on one of them, and the loads: prompt length and
    concurrency."""

    key: str
    title: str
    cpus: int
    neighbour: bool
    prompt_tokens: tuple[int, ...]
    concurrency: tuple[int, ...]

    def loads(self) -> Iterator[tuple[str, int, int]]:
        """Yield key, prompt tokens and concurrency of each load."""
        for tokens in self.prompt_tokens:
            for count in self.concurrency:
                yield f"{self.key}_{tokens}_{count}", tokens, count


SETUPS = (
    Setup("2cpu", "2 CPUs", 2, False, (32, 128), (1, 4, 8, 16)),
    Setup("2cpu_busy", "2 CPUs, busy neighbour", 2, True, (32,), (1, 8)),
    Setup("1cpu", "1 CPU", 1, False, (32,), (1, 8)),
    Setup("1cpu_busy", "1 CPU, busy neighbour", 1, True, (32,), (8,)),
)
CPU_LOAD = "2cpu_32_8"  # of the load that measures CPU time per token
LIMITED_LOADS = ("2cpu_32_1", "2cpu_32_8", "1cpu_32_1", "1cpu_32_8")  # compared with what memory allows
FIGURES = {
    "rate": ("", "tokens/s", True),
    "first_p50": (", time to first token p50", "ms", False),
    "next_p50": (", inter-token latency p50", "ms", False),
    "next_p99": (", inter-token latency p99", "ms", False),
}
MEASURES = (
    *(
        Measure(f"{key}_{figure}", f"{setup.title}, {tokens} tokens x {count}{title}", unit, more)
        for setup in SETUPS
        for key, tokens, count in setup.loads()
        for figure, (title, unit, more) in FIGURES.items()
    ),
    Measure("same_percent", "of the text, the same as fp32's", "%", more_is_better=True),
    Measure("cpu_milliseconds", "CPU a token (2 CPUs, 32 tokens x 8)", "ms"),
    *contender.MEASURES,
)


def contenders(_: Path) -> list[LanguageModelServer]:
    """Return all servers, ours first. They need no folder. Raises Failed without a model."""
    return lm_contenders.contenders()


def measure(server: LanguageModelServer) -> Row:
    """Start the server once for each number of CPUs, and load it; return all its figures."""
    figures, failures = dict[str, float](), Counter[str]()
    numbers = sorted({setup.cpus for setup in SETUPS})
    for cpus in numbers:
        port, cores = free_port(), sorted(os.sched_getaffinity(0))[-cpus:]
        limit = memory.MemoryLimit(memory.bandwidth(TORCH.python, cores), server.weight_bytes())
        with server.start(port, cores) as process:
            figures["cold_start_seconds"] = process.wait_for(functools.partial(server.responds, port))
            for setup in SETUPS:
                if setup.cpus == cpus:
                    with _busy_process(cores[-1]) if setup.neighbour else nullcontext():
                        failures += _load(setup, port, server.model, process, figures)
            for setup in SETUPS:
                for key, _, count in setup.loads():
                    if setup.cpus == cpus and key in LIMITED_LOADS:
                        print(f"{server.name}, {key}: {limit.describe(figures[f'{key}_rate'] / count)}", flush=True)
            if cpus == numbers[-1]:
                figures |= server.resting_figures(process)
                figures["same_percent"] = 100 * _agreement(port, server.model)
    return Row(server.name, server.environment.versions(), figures, failures)


def _load(setup: Setup, port: int, model: str, server: Server, figures: dict[str, float]) -> Counter[str]:
    """Send the loads of a setup; add to `figures`, and return the failures."""
    failures = Counter[str]()
    for key, tokens, count in setup.loads():
        before = server.cpu_seconds()
        result = lm_load.complete(port, model, lm_load.prompts(tokens, count))
        if key == CPU_LOAD:
            figures["cpu_milliseconds"] = 1000 * (server.cpu_seconds() - before) / max(result.tokens, 1)
        figures[f"{key}_rate"] = result.rate
        figures[f"{key}_first_p50"] = 1000 * result.first_token_seconds(50)
        figures |= {f"{key}_next_p{percent}": 1000 * result.inter_token_seconds(percent) for percent in (50, 99)}
        failures += result.failures
    return failures


def _agreement(port: int, model: str) -> float:
    """Mean over the answers of the share before the first difference from transformers' answer in float32."""
    results = [lm_load.complete(port, model, [text]) for text in lm_load.prompts(32, 8)]
    shares = [
        _common_length(answer.text, expected) / len(expected)
        for result, expected in zip(results, _reference(), strict=True)
        for answer in result.answers
    ]
    return sum(shares) / len(results)


def _common_length(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@functools.cache
def _reference() -> Sequence[str]:
    folder = trained_model(f"{NAME}_v1", "python -m training lm")
    command = [TORCH.python, PEERS / "lm_reference.py", folder, lm_load.NEW_TOKENS, *lm_load.prompts(32, 8)]
    answers: list[str] = json.loads(output(command, env={"HF_HUB_DISABLE_PROGRESS_BARS": "1"}).splitlines()[-1])
    return answers


@contextmanager
def _busy_process(core: int) -> Iterator[None]:
    """Run a process that keeps a core busy."""
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command) as popen:
        try:
            yield
        finally:
            popen.kill()
