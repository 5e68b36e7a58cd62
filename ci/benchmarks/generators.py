"""`ci/bench loadgen`: our load generator and others, each on one core against the same server on another."""

import http.client
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ci.benchmarks.contender import PEERS, free_port
from ci.benchmarks.environments import Environment, GoProgram
from ci.benchmarks.process import Server, reserved_core
from ci.benchmarks.report import Measure, Row
from ci.cache import CACHE, CHECKOUT
from ci.run import Failed

CONNECTIONS = 32
SHORT_SECONDS, LONG_SECONDS = 2, 6  # figures are of the difference, without the start of the program
ROUNDS = 3
MEASURES = (
    Measure("per_cpu_second", "requests per CPU-second", "1/s", more_is_better=True),
    Measure("rate", "requests a second, 1 core", "1/s", more_is_better=True),
    Measure("memory_megabytes", "peak memory of the largest process", "MB"),
)
OURS = Environment("loadgen", ("inference-service[loadgen]",))


@dataclass(frozen=True)
class Generator:
    """A load generator. In `command` stand {url}, {host}, {seconds}, {connections} and {body}, a file."""

    name: str
    environment: Environment | GoProgram
    command: Sequence[str]
    body: Path


def contenders(folder: Path) -> list[Generator]:
    """Return all generators, ours first. `folder` gets the body of the requests."""
    body = folder / "body.json"
    body.write_text(json.dumps({"features": [0.5] * 20}))
    locust = Environment("locust", ("locust==2.47.0",))
    hey, vegeta = GoProgram("hey", "github.com/rakyll/hey"), GoProgram("vegeta", "github.com/tsenart/vegeta/v12")
    return [
        Generator(
            "ours",
            OURS,
            (str(OURS.python), str(PEERS / "generator_ours.py"), "{url}", "{seconds}", "{connections}", "{body}"),
            body,
        ),
        Generator(
            "Locust FastHttpUser",
            locust,
            (
                *(str(locust.python), "-m", "locust", "-f", str(PEERS / "generator_locust.py"), "--headless"),
                *("--host", "{host}", "-u", "{connections}", "-r", "{connections}", "-t", "{seconds}s"),
                *("--only-summary", "--stop-timeout", "2"),
            ),
            body,
        ),
        Generator(
            "hey",
            hey,
            (
                *(str(hey.program), "-z", "{seconds}s", "-c", "{connections}", "-m", "POST"),
                *("-T", "application/json", "-D", "{body}", "{url}"),
            ),
            body,
        ),
        Generator(
            "vegeta",
            vegeta,
            (
                *("sh", "-c"),
                f"echo 'POST {{url}}' | {vegeta.program} attack -rate 0 -max-workers {{connections}} "
                "-workers {connections} -duration {seconds}s -header 'Content-Type: application/json' -body {body} "
                "-output /dev/null",
            ),
            body,
        ),
    ]


def measure(generator: Generator) -> Row:
    """Run the generator for two lengths, ROUNDS times; return the medians."""
    OURS.install()  # the server runs in it
    with reserved_core() as core, _server(core) as host:
        rounds = [_round(generator, host) for _ in range(ROUNDS)]
    figures = {key: median(figures[key] for figures in rounds) for key in rounds[0]}
    return Row(generator.name, generator.environment.versions(), figures, {})


@contextmanager
def _server(core: int) -> Iterator[str]:
    port = free_port()
    host, log = f"http://127.0.0.1:{port}", CACHE / "benchmarks" / "answers.log"
    command = [OURS.python, PEERS / "answers.py", port]
    with Server(command, cores=[core], log=log, cwd=CHECKOUT, env={}) as server:
        server.wait_for(lambda: _count(host) is not None)
        yield host


def _round(generator: Generator, host: str) -> dict[str, float]:
    short, long = (_run(generator, host, seconds) for seconds in (SHORT_SECONDS, LONG_SECONDS))
    requests, cpu = long[0] - short[0], long[1] - short[1]
    return {
        "per_cpu_second": requests / cpu,
        "rate": requests / (LONG_SECONDS - SHORT_SECONDS),
        "memory_megabytes": long[2] / 1e6,
    }


def _run(generator: Generator, host: str, seconds: int) -> tuple[int, float, int]:
    """Return the answered requests, the CPU time in seconds and the peak memory in bytes of one run."""
    places = {"url": f"{host}/predict", "host": host, "seconds": seconds, "connections": CONNECTIONS}
    command = [word.format(**places, body=generator.body) for word in generator.command]
    environment = os.environ | {"BODY": str(generator.body), "PYTHONPATH": str(CHECKOUT), "GOMAXPROCS": "1"}
    before = _count(host) or 0
    core = min(os.sched_getaffinity(0))
    with subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        text = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{generator.name} ended with {process.returncode}: {text[-200:]}")
    return (_count(host) or 0) - before, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _count(host: str) -> int | None:
    connection = http.client.HTTPConnection(host.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/count")
        return int(connection.getresponse().read())
    except OSError:
        return None
    finally:
        connection.close()
