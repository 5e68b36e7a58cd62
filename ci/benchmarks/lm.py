"""The language model beside other ways to serve the same weights on CPUs: who may use what, and what is measured."""

import asyncio
import functools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

from ci.benchmarks import lm_load
from ci.benchmarks.contender import free_port, idle_percent
from ci.benchmarks.lm_contenders import MODELS, NAME, PEERS, TORCH, Speaker
from ci.benchmarks.lm_contenders import contenders as contenders  # which ci/bench looks for here
from ci.benchmarks.process import Server
from ci.benchmarks.report import Measure, Row
from ci.run import output


@dataclass(frozen=True)
class Setup:
    """What a server may use, who else computes meanwhile, and what it is asked: prompts of so many tokens, at once."""

    name: str
    cpus: int
    busy: bool
    prompts: tuple[int, ...]
    at_once: tuple[int, ...]

    def questions(self) -> Iterator[tuple[str, int, int]]:
        """A prefix for the figures of each question."""
        for tokens in self.prompts:
            for count in self.at_once:
                yield f"{self.name}_{tokens}_{count}", tokens, count


SETUPS = (
    Setup("2cpu", 2, False, (32, 128), (1, 4, 8, 16)),
    Setup("2cpu_busy", 2, True, (32,), (1, 8)),
    Setup("1cpu", 1, False, (32,), (1, 8)),
    Setup("1cpu_busy", 1, True, (32,), (8,)),
)
TITLES = {
    "2cpu": "2 CPUs",
    "2cpu_busy": "2 CPUs, busy neighbour",
    "1cpu": "1 CPU",
    "1cpu_busy": "1 CPU, busy neighbour",
}
FIGURES = {
    "rate": ("", "tokens/s", True),
    "first_p50": (", first token p50", "ms", False),
    "next_p50": (", next token p50", "ms", False),
    "next_p99": (", next token p99", "ms", False),
}
MEASURES = (
    *(
        Measure(f"{prefix}_{figure}", f"{TITLES[setup.name]}, {tokens} tokens x {count}{title}", unit, more)
        for setup in SETUPS
        for prefix, tokens, count in setup.questions()
        for figure, (title, unit, more) in FIGURES.items()
    ),
    Measure("same_percent", "of the text, the same as fp32's", "%", more_is_better=True),
    Measure("cpu_milliseconds", "CPU a token (2 CPUs, 32 tokens x 8)", "ms"),
    Measure("memory_megabytes", "memory after load (PSS)", "MB"),
    Measure("cold_start_seconds", "start to first answer", "s"),
    Measure("environment_megabytes", "virtual environment", "MB"),
    Measure("idle_cpu_percent", "idle CPU", "% of a core"),
)


def measured(speaker: Speaker) -> Row:
    """All figures of a contender. Each number of CPUs is a start of its own."""
    figures, failures = {}, Counter()
    for cpus in sorted({setup.cpus for setup in SETUPS}):
        port = free_port()
        cores = sorted(os.sched_getaffinity(0))[-cpus:]
        with speaker.started(port, ",".join(map(str, cores))) as server:
            figures["cold_start_seconds"] = server.wait_for(lambda port=port: speaker.answers(port))
            for setup in SETUPS:
                if setup.cpus == cpus:
                    _hear(setup, cores, port, speaker.model, server, figures, failures)
            figures["memory_megabytes"] = server.memory_megabytes()
            if cpus == max(setup.cpus for setup in SETUPS):
                figures["same_percent"] = 100 * _same(port, speaker.model)
                figures["idle_cpu_percent"] = idle_percent(server)
    figures["environment_megabytes"] = speaker.environment.megabytes()
    return Row(speaker.name, speaker.environment.versions(), figures, failures)


def _hear(
    setup: Setup, cores: list[int], port: int, model: str, server: Server, figures: dict, failures: Counter
) -> None:
    with _neighbour(cores[-1]) if setup.busy else _nobody():
        for prefix, tokens, count in setup.questions():
            before = server.cpu_seconds()
            heard = asyncio.run(lm_load.ask(port, model, lm_load.prompts(tokens, count)))
            if prefix == "2cpu_32_8":
                figures["cpu_milliseconds"] = 1000 * (server.cpu_seconds() - before) / max(heard.tokens, 1)
            figures[f"{prefix}_rate"] = heard.rate
            figures[f"{prefix}_first_p50"] = 1000 * heard.first(50)
            figures |= {f"{prefix}_next_p{percent}": 1000 * heard.next(percent) for percent in (50, 99)}
            failures += heard.failures


def _same(port: int, model: str) -> float:
    """How much of the answers, from the start, is what transformers answers in float32."""
    answers = [asyncio.run(lm_load.ask(port, model, [text])).answers for text in lm_load.prompts(32, 8)]
    shares = [
        _common(answer[0].text, expected) / len(expected) if answer else 0.0
        for answer, expected in zip(answers, _reference(), strict=True)
    ]
    return sum(shares) / len(shares)


def _common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@functools.cache
def _reference() -> list[str]:
    command = [TORCH.python, PEERS / "lm_reference.py", MODELS / f"{NAME}_v1", str(lm_load.NEW_TOKENS)]
    return json.loads(output([*command, *lm_load.prompts(32, 8)]).splitlines()[-1])


@contextmanager
def _neighbour(core: int) -> Iterator[None]:
    """Another process that wants all of a core."""
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command) as popen:
        try:
            yield
        finally:
            popen.kill()


@contextmanager
def _nobody() -> Iterator[None]:
    yield
