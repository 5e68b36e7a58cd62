"""The live view: what it shows of a second, on a terminal, in a narrow one, and in a file."""

import io
from typing import Any

import numpy as np
import pytest

from loadgen.cluster.watch import Current
from loadgen.engine.follow import Second
from loadgen.engine.records import RECORD
from loadgen.scenarios.scenario import Phase
from loadgen.targets.outcome import Outcome
from loadgen.terminal.live import LiveView

PHASES = (Phase(name="base", seconds=30), Phase(name="spike", seconds=20))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def second(number: int, phase: str = "base", failed: int = 0, **changes) -> Second:
    records = np.zeros(failed, RECORD)
    records["outcome"], records["status"], records["detail"] = Outcome.HTTP, 503, 1
    figures = {"p50": 0.1, "p90": 0.2, "p99": 0.25}
    values: dict[str, Any] = {
        "due": 10,
        "started": 10,
        "succeeded": 10,
        "failed": failed,
        "dropped": 0,
        "in_flight": 3,
        "waiting": 0,
    }
    values |= {"response_seconds": figures, "cpu_share": 0.1, "records": records, "texts": [None, "\x1b[2Jfull"]}
    return Second(second=number, phase=phase, **{**values, **changes})


def shown(terminal: Terminal) -> str:
    """The text of the last view that was drawn."""
    return terminal.getvalue().rpartition("\r")[2] if "\n" not in terminal.getvalue() else terminal.getvalue()


def test_a_terminal_shows_phase_rate_latency_and_the_next_phase():
    terminal = Terminal()
    with LiveView(terminal, PHASES) as live:
        live.show(second(9))
    for text in ("10/50 s", "base, then spike in 20 s", "0 failed", "10.0/s of 10 due", "p50 100 ms  p99 250 ms"):
        assert text in terminal.getvalue(), text


def test_replicas_and_cpu_stand_beside_the_load():
    terminal = Terminal()
    current = Current(desired=3, replicas=3, ready=1, maximum=5, utilization=140, target=70)
    with LiveView(terminal, PHASES, lambda: current) as live:
        live.show(second(9))
    assert "1 of 3 replicas ready, CPU 140% of 70%" in terminal.getvalue()


@pytest.mark.parametrize("width", ["20", "40", "200"])
def test_failures_are_seen_in_a_terminal_of_any_width(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    terminal = Terminal()
    with LiveView(terminal, PHASES) as live:
        live.show(second(9, failed=12_345))
    assert "12,345 failed" in terminal.getvalue()
    lines = terminal.getvalue().splitlines()
    assert "\x1b[2Jfull" not in terminal.getvalue(), "the server's text cannot act"
    assert lines


def test_the_drain_says_how_to_end_it():
    terminal = Terminal()
    with LiveView(terminal, PHASES) as live:
        live.show(second(50, phase="drain"))
    assert "drain, finishing 3 (Ctrl-C drops them)" in terminal.getvalue()


def test_a_generator_at_its_limit_is_shown():
    terminal = Terminal()
    with LiveView(terminal, PHASES) as live:
        live.show(second(9, cpu_share=0.95, waiting=7))
    assert "generator: 7 requests waiting for a connection, 95% of a core" in terminal.getvalue()


def test_a_file_gets_a_plain_line_every_five_seconds():
    log = io.StringIO()
    with LiveView(log, PHASES) as live:
        for number in range(10):
            live.show(second(number, failed=1))
    lines = log.getvalue().splitlines()
    assert len(lines) == 2 and "\x1b" not in log.getvalue()
    assert lines[0].startswith(r"  5/50 s  5 failed (HTTP 503: \x1b[2Jfull)  55 requests  10.0/s  p50 100 ms")


def test_a_terminal_that_cannot_rewrite_gets_plain_lines_too(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    with LiveView(terminal, PHASES) as live:
        for number in range(10):
            live.show(second(number))
    assert len(terminal.getvalue().splitlines()) == 2 and "\x1b" not in terminal.getvalue()


def test_a_reader_that_has_gone_does_not_end_the_run():
    with LiveView(Closed(), PHASES) as live:
        for number in range(5):
            live.show(second(number))
