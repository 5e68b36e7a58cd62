"""The progress line."""

import io

import pytest

from loadgen.observe import Observation, Run
from loadgen.terminal import Progress, progress_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def run():
    settings = {"duration_seconds": 120.0}
    run = Run("classifier", "http://127.0.0.1/predict", settings)
    for second in range(1, 21):
        pod = "pod-a" if second < 18 else "pod-b"
        run.add(Observation(start=second - 0.5, end=second, status=200, served_by=pod))
    return run


def test_line_shows_time_counts_and_statistics_of_the_last_five_seconds(run):
    assert progress_line(run, 20.0) == (" 20/120 s  20 requests  1.20/s  p50 500 ms  p99 500 ms  2 pods  0 failed")


def test_line_shows_the_last_failure(run):
    run.add(Observation(start=19, end=20, outcome="http", status=503, detail="Service Unavailable"))
    assert progress_line(run, 20.0).endswith("  2 pods  1 failed (HTTP 503: Service Unavailable)")


def test_after_the_duration_the_line_shows_the_requests_under_way(run):
    run.under_way = 3
    assert progress_line(run, 121.0).startswith("121/120 s  finishing 3  20 requests")


def test_after_an_interrupt_the_line_shows_how_to_stop_at_once(run):
    run.under_way, run.interrupted = 3, True
    assert "  finishing 3 (Ctrl-C drops them)  " in progress_line(run, 20.0)


def test_terminal_shows_one_line_that_is_rewritten_and_cut_to_its_width(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal()
    progress = Progress(terminal)
    progress.show(run)
    progress.show(run)
    assert "\n" not in terminal.getvalue()
    first = terminal.getvalue().split("\r")[1]
    assert first.endswith("\x1b[K") and len(first.removesuffix("\x1b[K")) == 29


def test_file_gets_a_plain_line_every_fifth_call(run):
    log = io.StringIO()
    progress = Progress(log)
    for _ in range(10):
        progress.show(run)
    assert len(log.getvalue().splitlines()) == 2
    assert "\r" not in log.getvalue() and "\x1b" not in log.getvalue()


def test_closed_pipe_does_not_end_the_run(run):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    progress = Progress(Closed())
    for _ in range(5):
        progress.show(run)
