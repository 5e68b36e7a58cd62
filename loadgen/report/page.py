"""The report of one run: one HTML file without outside resources, made from the run's JSON document alone."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from loadgen.report import charts, scaling
from loadgen.report.html import CHARTS, seconds, shell, table
from loadgen.terminal.summary import threshold_value
from loadgen.text import count, duration, error_name, rate

Document = Mapping[str, Any]
FIGURES = ("p50", "p90", "p95", "p99", "max", "mean")
LATENCIES = {
    "response (from the intended time)": "response_seconds",
    "response of successes alone": "response_seconds_succeeded",
    "service (from sending)": "service_seconds",
    "time to first token": "first_token_seconds",
    "inter-token latency": "inter_token_seconds",
}


def report(document: Document) -> str:
    """Return the report as HTML."""
    data = {
        "end": charts.end(document),
        "phases": [{"name": phase["name"], "start": phase["start"]} for phase in document["phases"]],
        "panels": charts.panels(document),
    }
    sections = [
        _head(document),
        _warnings(document),
        _tiles(document),
        CHARTS,
        scaling.reaction(document),
        scaling.decisions(document),
        scaling.elasticity(document),
        _latencies(document),
        _phases(document),
        _errors(document["summary"]),
        _balance(document["summary"]),
        _settings(document),
    ]
    return shell(f"Load on {document['target']}", sections, data)


def _head(document: Document) -> str:
    run = document["run"]
    facts = f"{document['target']} at {document['url']}, {run['started_at']}, ended by {run['ended_by']}"
    verdict = document.get("verdict") or ""
    return f'<h1>Load on {escape(document["target"])}</h1><p class="dim">{escape(facts)}</p>' + (
        f'<p class="verdict">{escape(verdict)}</p>' if verdict else ""
    )


def _warnings(document: Document) -> str:
    cluster = document.get("cluster") or {}
    texts = [*document["generator"]["reasons"], *document["warnings"], *cluster.get("errors", ())]
    return "".join(f'<p class="warning">{escape(text)}</p>' for text in texts)


def _tiles(document: Document) -> str:
    summary = document["summary"]
    response = summary["response_seconds"] or {}
    tiles = {
        "requests": f"{summary['requests']:,}",
        "failed": f"{summary['failed']:,}",
        "answers a second": rate(summary["rate_per_second"]),
        "response p50": duration(response.get("p50")),
        "response p99": duration(response.get("p99")),
    }
    if cluster := document.get("cluster"):
        ready = [entry["ready"] for entry in cluster["deployment"]]
        if ready:
            tiles["ready replicas"] = f"{ready[0]} → {max(ready)} → {ready[-1]}"
    if summary["accuracy"]:
        tiles["right labels"] = f"{summary['accuracy']['share']:.2%}"
    if summary["completion_tokens"]:
        tiles["tokens a second"] = rate(summary["completion_tokens"]["rate_per_second"])
    made = [f'<div class="tile"><b>{escape(value)}</b>{escape(name)}</div>' for name, value in tiles.items()]
    return f'<div class="tiles">{"".join(made)}</div>' + _thresholds(document["thresholds"])


def _thresholds(thresholds: Sequence[Document]) -> str:
    if not thresholds:
        return ""
    rows = [
        (
            "✓ passed" if entry["passed"] else "✗ missed",
            entry["expression"],
            threshold_value(entry["expression"], entry["value"]),
        )
        for entry in thresholds
    ]
    return "<h2>Thresholds</h2>" + table(("", "threshold", "value"), rows, [2])


def _latencies(document: Document) -> str:
    rows = [
        (label, *(duration(figures[name]) for name in FIGURES))
        for label, key in LATENCIES.items()
        if (figures := document["summary"].get(key))
    ]
    return "<h2>Latency</h2>" + table(("", *FIGURES), rows, range(1, 7)) if rows else ""


def _phases(document: Document) -> str:
    if len(document["phases"]) < 2:
        return ""
    rows = []
    for phase in document["phases"]:
        summary = phase["summary"]
        response, service = summary["response_seconds"] or {}, summary["service_seconds"] or {}
        rows.append(
            (
                phase["name"] + (" (warm-up)" if phase["warmup"] else ""),
                f"{phase['start']:g}-{phase['end']:g} s",
                f"{summary['requests']:,}",
                f"{summary['failed']:,}",
                f"{summary['dropped']:,}",
                rate(summary["rate_per_second"]),
                *(duration(response.get(name)) for name in ("p50", "p90", "p99")),
                duration(service.get("p99")),
            )
        )
    heads = ("phase", "from-to", "requests", "failed", "dropped", "answers/s", "p50", "p90", "p99", "service p99")
    return "<h2>Phases</h2>" + table(heads, rows, range(2, 10))


def _errors(summary: Document) -> str:
    rows = [
        (
            f"{error['requests']:,}",
            error_name(error["outcome"], error["status"], error["detail"]),
            error["phase"] or "-",
            error["pod"] or "-",
            error["model_version"] or "-",
        )
        for error in summary["errors"]
    ]
    return "<h2>Failures</h2>" + table(("requests", "failure", "phase", "pod", "version"), rows, [0]) if rows else ""


def _balance(summary: Document) -> str:
    total = sum(entry["requests"] for entry in summary["served_by"])
    rows = [
        (
            entry["pod"] or "(unnamed)",
            entry["model_version"] or "-",
            f"{entry['requests']:,}",
            f"{entry['requests'] / total:.1%}",
            seconds(entry["first_answer"]),
        )
        for entry in summary["served_by"]
    ]
    if not rows:
        return ""
    return "<h2>Answers by pod</h2>" + table(("pod", "version", "answers", "share", "first answer"), rows, [2, 3, 4])


def _listed(figures: Document) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def _settings(document: Document) -> str:
    run, generator = document["run"], document["generator"]
    rows = [(name, json.dumps(value)) for name, value in document["settings"].items() if value not in (None, [], "")]
    rows += [("loadgen", f"{run['version']}, commit {run['commit']}"), ("host", _listed(run["host"]))]
    rows.append(
        ("generator", f"{generator['cpu_seconds']:.1f} CPU seconds, {count(len(generator['workers']), 'worker')}")
    )
    if cluster := document.get("cluster"):
        controller, skew = cluster["controller"], cluster["skew_seconds"]
        clock = f"clock {abs(skew):.2f} s {'behind' if skew < 0 else 'ahead of'} this machine's"
        rows.append(("Kubernetes", f"{cluster['server_version']}; {clock}"))
        rows.append(("controller", _listed(controller)))
    return "<h2>Settings</h2>" + table(("", ""), rows)
