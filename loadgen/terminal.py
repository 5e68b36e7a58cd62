"""Formats a run for a terminal: a progress line during the run, a summary after it."""

import contextlib
import shutil
import textwrap
from typing import Any, TextIO

from loadgen.observe import Observation, Run
from loadgen.summary import percentile

WINDOW_SECONDS = 5.0
PLAIN_LINE_SECONDS = 5
NO_SERVICE_HINT = "             Is the service up? `ci/up` starts both; `--url` is for another address."


class Progress:
    """Shows one line, rewritten at every call, on a terminal; elsewhere prints a line at every fifth call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrites = stream.isatty()
        self._calls = 0

    def show(self, run: Run) -> None:
        self._calls += 1
        line = progress_line(run, run.clock.now())
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r{line[:width]}\x1b[K")
        elif self._calls % PLAIN_LINE_SECONDS == 0:
            self._write(f"{line}\n")

    def clear(self) -> None:
        if self._rewrites:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        # Ctrl-C also ends a `| tee`; the run must still write its report.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text)
            self._stream.flush()


def headline(run: Run) -> str:
    settings = run.settings
    renewal = settings["connection_seconds"]
    images = f"{settings.get('dataset_size', 0):,} images"
    size = f"{settings['max_new_tokens']} new tokens a prompt" if "max_new_tokens" in settings else images
    users = count(settings["concurrency"], "user")
    connections = f"connections renewed every {renewal:g} s" if renewal else "connections kept"
    return f"{run.target} at {run.url}\n{users} for {settings['duration_seconds']:g} s, {size}, {connections}"


def progress_line(run: Run, now: float) -> str:
    limit = run.settings["duration_seconds"]
    clock = f"{now:3.0f}/{limit:g} s"
    if run.interrupted or now >= limit:
        clock += f"  finishing {run.under_way}" + " (Ctrl-C drops them)" * run.interrupted
    figures = recent_figures(run, now)
    return "  ".join([clock, count(len(run.observations), "request"), *figures, failures(run)])


def recent_figures(run: Run, now: float) -> list[str]:
    recent = recent_good(run.observations, now - WINDOW_SECONDS)
    if not recent:
        return []
    seconds = sorted(observation.seconds for observation in recent)
    pods = len({observation.served_by for observation in recent})
    return [
        f"{rate(len(recent) / min(WINDOW_SECONDS, now))}/s",
        f"p50 {duration(percentile(seconds, 50))}",
        f"p99 {duration(percentile(seconds, 99))}",
        count(pods, "pod"),
    ]


def failures(run: Run) -> str:
    if not run.failed:
        return "0 failed"
    last = next(observation for observation in reversed(run.observations) if observation.outcome != "ok")
    return f"{run.failed:,} failed ({error_name(last.outcome, last.status, last.detail)})"


def recent_good(observations: list[Observation], since: float) -> list[Observation]:
    recent = []
    for observation in reversed(observations):
        if observation.end < since:
            break
        if observation.outcome == "ok":
            recent.append(observation)
    return recent


def summary_text(report: dict[str, Any]) -> str:
    """Return the summary of a `report.document` as text."""
    summary, generator = report["summary"], report["generator"]
    lines = [
        "",
        *request_lines(report),
        *error_lines(summary["errors"]),
        *([NO_SERVICE_HINT] if summary["requests"] and not summary["served_by"] else []),
        *latency_lines(summary),
        *model_lines(summary),
        *pod_lines(summary),
        f"generator    {generator['cpu_share']:.0%} of a core, event loop late by "
        f"{duration(generator['loop_lag_seconds']['p99'])} at p99",
        *["\n" + textwrap.fill(f"WARNING: {warning}", 79) for warning in generator["warnings"]],
    ]
    return "\n".join(lines)


def request_lines(report: dict[str, Any]) -> list[str]:
    summary = report["summary"]
    ending = " (interrupted)" if report["ended_by"] == "interrupt" else ""
    dropped = f", {report['dropped']} dropped under way" if report["dropped"] else ""
    return [
        f"requests     {summary['requests']:,} in {report['elapsed_seconds']:.1f} s{ending}, "
        f"{rate(summary['rate_per_second'])} good answers/s{dropped}",
        f"failed       {summary['failed']:,}",
    ]


def error_lines(errors: list[dict[str, Any]]) -> list[str]:
    return [
        f"             {error['requests']:,} x {error_name(error['outcome'], error['status'], error['detail'])}"
        for error in errors
    ]


def latency_lines(summary: dict[str, Any]) -> list[str]:
    figures = summary["latency_seconds"]
    if not figures:
        return []
    names = "".join(f"{name:>9}" for name in figures)
    return [f"latency  {names}", f"         {''.join(f'{duration(seconds):>9}' for seconds in figures.values())}"]


def model_lines(summary: dict[str, Any]) -> list[str]:
    accuracy, tokens = summary["accuracy"], summary["completion_tokens"]
    lines = []
    if accuracy:
        lines.append(
            f"accuracy     {accuracy['share']:.2%}, {accuracy['correct']:,} of {accuracy['judged']:,} "
            "(including images used in training)"
        )
    if tokens:
        lines.append(f"tokens       {tokens['total']:,} generated, {rate(tokens['rate_per_second'])}/s")
    return lines


def pod_lines(summary: dict[str, Any]) -> list[str]:
    served = [(entry["pod"] or "(unnamed)", entry) for entry in summary["served_by"]]
    width = max((len(pod) for pod, _ in served), default=0)
    return [
        f"{'answered by' if number == 0 else '':11}  {pod:{width}}  {entry['model_version'] or '-'}  "
        f"{entry['requests']:>8,}  from {entry['first_answer']:.1f} s on"
        for number, (pod, entry) in enumerate(served)
    ]


def error_name(outcome: str, status: int | None, detail: str | None) -> str:
    names = {"http": f"HTTP {status}", "invalid": "invalid answer", "reset": "connection reset"}
    names |= {"connect": "no connection"}
    return f"{names.get(outcome, outcome)}: {detail}"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rate(per_second: float) -> str:
    return f"{per_second:,.1f}" if per_second >= 10 else f"{per_second:.2f}"


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
