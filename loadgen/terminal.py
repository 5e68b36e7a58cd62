"""Formats a run for a terminal: a progress line during the run, a summary after it."""

import contextlib
import shutil
import textwrap
from typing import Any, TextIO

from loadgen.engine.follow import Second
from loadgen.engine.records import Outcome

PLAIN_LINE_SECONDS = 5
NO_SERVICE_HINT = "             Is the service up? `ci/up` starts both; `--url` is for another address."


class Progress:
    """Shows one line, rewritten every second, on a terminal; elsewhere prints a line every five seconds."""

    def __init__(self, stream: TextIO, seconds: float) -> None:
        self._stream, self._seconds = stream, seconds
        self._rewrites = stream.isatty()
        self._calls = self._requests = self._failed = 0
        self._last_failure = ""

    def show(self, second: Second) -> None:
        self._calls += 1
        self._requests += second.succeeded + second.failed
        self._failed += second.failed
        bad = second.records[second.records["outcome"] != Outcome.OK]
        if len(bad):
            last = bad[-1]
            text = second.texts[last["detail"]]
            self._last_failure = f" ({error_name(Outcome(last['outcome']).label, last['status'], text)})"
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r{self.line(second)[:width]}\x1b[K")
        elif self._calls % PLAIN_LINE_SECONDS == 0:
            self._write(f"{self.line(second)}\n")

    def line(self, second: Second) -> str:
        clock = f"{second.second + 1:3}/{self._seconds:g} s"
        if second.phase == "drain":
            clock += f"  finishing {second.in_flight}"
        figures = second.response_seconds or {}
        parts = [clock, count(self._requests, "request"), f"{rate(second.succeeded)}/s"]
        parts += [f"{name} {duration(seconds)}" for name, seconds in figures.items()]
        return "  ".join([*parts, f"{self._failed:,} failed{self._last_failure}"])

    def clear(self) -> None:
        if self._rewrites:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        # Ctrl-C also ends a `| tee`; the run must still write its report.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text)
            self._stream.flush()


def headline(target: str, url: str, settings: dict[str, Any]) -> str:
    renewal = settings["connection_seconds"]
    images = f"{settings.get('dataset_size', 0):,} images"
    size = f"{settings['max_new_tokens']} new tokens a prompt" if "max_new_tokens" in settings else images
    users = count(settings["concurrency"], "user")
    connections = f"connections renewed every {renewal:g} s" if renewal else "connections kept"
    return f"{target} at {url}\n{users} for {settings['duration_seconds']:g} s, {size}, {connections}"


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
        f"generator    {generator['cpu_seconds']:.1f} s of CPU time",
        *["\n" + textwrap.fill(f"WARNING: {warning}", 79) for warning in generator["reasons"] + report["warnings"]],
    ]
    return "\n".join(lines)


def request_lines(report: dict[str, Any]) -> list[str]:
    summary = report["summary"]
    run, cut = report["run"], summary["interrupted"]
    ending = f" (ended by {run['ended_by']})" if run["ended_by"] != "duration" else ""
    dropped = f", {cut} cut off" if cut else ""
    return [
        f"requests     {summary['requests']:,} in {run['elapsed_seconds']:.1f} s{ending}, "
        f"{rate(summary['rate_per_second'])} good answers/s{dropped}",
        f"failed       {summary['failed']:,}",
    ]


def error_lines(errors: list[dict[str, Any]]) -> list[str]:
    return [
        f"             {error['requests']:,} x {error_name(error['outcome'], error['status'], error['detail'])}"
        for error in errors
    ]


def latency_lines(summary: dict[str, Any]) -> list[str]:
    figures = summary["response_seconds"]
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
