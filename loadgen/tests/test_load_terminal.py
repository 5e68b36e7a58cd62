"""The progress line."""

import io
from typing import Any

import numpy as np

from loadgen.engine.follow import Second
from loadgen.engine.records import RECORD, Outcome
from loadgen.terminal import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def second(**changes):
    figures: dict[str, Any] = {
        "response_seconds": {"p50": 0.5, "p99": 0.6},
        "cpu_share": 0.1,
        "waiting": 0,
        "dropped": 0,
    }
    figures |= {"second": 19, "phase": "load", "due": 3, "started": 3, "succeeded": 3, "failed": 0, "in_flight": 3}
    figures |= {"records": np.zeros(3, RECORD), "texts": [None, "Service Unavailable"]}
    return Second(**(figures | changes))


def test_line_shows_time_counts_and_latency_of_the_last_second():
    progress = Progress(io.StringIO(), 120)
    progress.show(second())
    assert progress.line(second()) == " 20/120 s  3 requests  3.00/s  p50 500 ms  p99 600 ms  0 failed"


def test_line_shows_the_last_failure():
    records = np.zeros(1, RECORD)
    records["outcome"], records["status"], records["detail"] = Outcome.HTTP, 503, 1
    progress = Progress(io.StringIO(), 120)
    progress.show(second(failed=1, records=records))
    assert progress.line(second()).endswith("  1 failed (HTTP 503: Service Unavailable)")


def test_after_the_duration_the_line_shows_the_requests_under_way():
    line = Progress(io.StringIO(), 120).line(second(second=120, phase="drain"))
    assert line.startswith("121/120 s  finishing 3  0 requests")


def test_terminal_shows_one_line_that_is_rewritten_and_cut_to_its_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal()
    progress = Progress(terminal, 120)
    progress.show(second())
    progress.show(second())
    assert "\n" not in terminal.getvalue()
    first = terminal.getvalue().split("\r")[1]
    assert first.endswith("\x1b[K") and len(first.removesuffix("\x1b[K")) == 29


def test_file_gets_a_plain_line_every_fifth_call():
    log = io.StringIO()
    progress = Progress(log, 120)
    for _ in range(10):
        progress.show(second())
    assert len(log.getvalue().splitlines()) == 2
    assert "\r" not in log.getvalue() and "\x1b" not in log.getvalue()


def test_closed_pipe_does_not_end_the_run():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    progress = Progress(Closed(), 120)
    for _ in range(5):
        progress.show(second())
