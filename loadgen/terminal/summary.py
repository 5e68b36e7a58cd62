"""The summary of a run as text, from its JSON document (see `statistics.document`)."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from loadgen.scenarios import thresholds
from loadgen.scenarios.scenario import DEFAULT_CONCURRENCY, Scenario
from loadgen.text import count, duration, error_name, rate, safe

NO_SERVICE_HINT = "             Is the service up? `ci/up` starts both; `--url` is for another address."
CERTIFICATE_HINT = "             `--ca FILE` trusts the authority of a certificate, `--insecure` checks none."
WIDTH = 79
FIGURES = ("p50", "p90", "p95", "p99", "max", "mean")
LATENCIES = {
    "response": "response_seconds",
    "  of successes": "response_seconds_succeeded",
    "service": "service_seconds",
    "first token": "first_token_seconds",
    "between tokens": "inter_token_seconds",
}


def headline(scenario: Scenario, url: str) -> str:
    """Return what is going to be done. `url` must not contain user information."""
    phases = scenario.all_phases
    seconds = f"{sum(phase.seconds for phase in phases):g} s"
    if scenario.open_loop:
        shape = (
            count(len(phases), "phase") if scenario.phases else "a trace" if scenario.trace else f"{scenario.rate:g}/s"
        )
        load = f"open loop: {shape}, {scenario.arrivals}, {seconds}"
    else:
        users = scenario.concurrency or DEFAULT_CONCURRENCY[scenario.target]
        load = f"closed loop: {count(users, 'user')} for {seconds}"
    renewal = scenario.connections
    connections = renewal if isinstance(renewal, str) else f"renewed every {renewal:g} s"
    return f"{scenario.target} at {url}\n{load}, connections {connections}"


def summary_text(document: Mapping[str, Any]) -> str:
    summary = document["summary"]
    cluster = document["cluster"] or {}
    warnings = [*document["generator"]["reasons"], *document["warnings"], *cluster.get("errors", ())]
    lines = [
        "",
        *_request_lines(document),
        *error_lines(summary["errors"]),
        *_hints(summary),
        *_latency_lines(summary),
        *_phase_lines(document["phases"]),
        *_model_lines(summary),
        *_pod_lines(summary),
        *_threshold_lines(document["thresholds"]),
    ]
    if document.get("verdict"):
        lines.append("\n" + textwrap.fill(document["verdict"], WIDTH))
    lines += ["\n" + textwrap.fill(f"WARNING: {safe(warning, 600)}", WIDTH) for warning in warnings]
    return "\n".join(lines)


def _hints(summary: Mapping[str, Any]) -> list[str]:
    if not summary["requests"] or summary["served_by"]:
        return []
    certificate = (summary["errors"][0]["detail"] or "").startswith("certificate refused")
    return [CERTIFICATE_HINT if certificate else NO_SERVICE_HINT]


def _request_lines(document: Mapping[str, Any]) -> list[str]:
    summary, run = document["summary"], document["run"]
    ending = "" if run["ended_by"] == "duration" else f" (ended by {safe(run['ended_by'])})"
    beside = [f"{summary[name]:,} {text}" for name, text in BESIDE.items() if summary[name]]
    return [
        f"requests     {summary['requests']:,} in {run['elapsed_seconds']:.1f} s{ending}, "
        f"{rate(summary['rate_per_second'])} good answers/s",
        f"failed       {summary['failed']:,}",
        *([f"beside       {', '.join(beside)}"] if beside else []),
    ]


BESIDE = {
    "dropped": "dropped by --max-in-flight",
    "stale": "sent again, for the server had closed the connection",
    "local": "hindered by this machine",
    "interrupted": "cut off by the interrupt",
}


def error_lines(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each sort of error; errors of several phases, pods and versions are one sort."""
    totals: dict[str, int] = {}
    for error in errors:
        name = error_name(error["outcome"], error["status"], error["detail"])
        totals[name] = totals.get(name, 0) + error["requests"]
    return [f"             {number:,} x {name}" for name, number in totals.items()]


def _latency_lines(summary: Mapping[str, Any]) -> list[str]:
    rows = {label: summary.get(name) for label, name in LATENCIES.items()}
    if summary["failed"] == 0:
        rows.pop("  of successes")
    measured = {label: row for label, row in rows.items() if row}
    if not measured:
        return []
    return [
        " " * 15 + "".join(f"{name:>10}" for name in FIGURES),
        *[f"{label:15}{''.join(f'{duration(row[name]):>10}' for name in FIGURES)}" for label, row in measured.items()],
    ]


def _phase_lines(phases: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(phases) < 2:
        return []
    width = max(len(phase["name"]) for phase in phases)
    lines = []
    for number, phase in enumerate(phases):
        summary = phase["summary"]
        seconds = summary["response_seconds"] or {}
        lines.append(
            f"{'' if number else 'phases':11}  {phase['name']:{width}}  {summary['requests']:>8,} requests  "
            f"{summary['failed']:>6,} failed  {rate(summary['rate_per_second']):>9}/s  "
            f"p99 {duration(seconds.get('p99'))}{'  (warm-up)' if phase['warmup'] else ''}"
        )
    return lines


def _model_lines(summary: Mapping[str, Any]) -> list[str]:
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


def _pod_lines(summary: Mapping[str, Any]) -> list[str]:
    served = [(safe(entry["pod"] or "(unnamed)", 70), entry) for entry in summary["served_by"]]
    width = max((len(pod) for pod, _ in served), default=0)
    return [
        f"{'answered by' if number == 0 else '':11}  {pod:{width}}  {safe(entry['model_version'] or '-', 40)}  "
        f"{entry['requests']:>8,}  from {entry['first_answer']:.1f} s on"
        for number, (pod, entry) in enumerate(served)
    ]


def threshold_value(expression: str, value: float | None) -> str:
    """Return the measured value of a threshold's figure, a duration with its unit."""
    if value is None:
        return "not measured"
    return duration(value) if thresholds.parse(expression).is_duration else f"{value:.6g}"


def _threshold_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for number, threshold in enumerate(results):
        figure = threshold_value(threshold["expression"], threshold["value"])
        result = "passed" if threshold["passed"] else "MISSED"
        lines.append(f"{'' if number else 'thresholds':11}  {result}  {safe(threshold['expression'])}  ({figure})")
    return lines
