"""Prints the effect of each attack as a markdown table: `python -m apps.serving.tests.budget_table classifier lm`.

Each attack runs against a fresh service with the chart's memory and CPU, once with one client and once with many.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from apps.serving.tests.attacks import Attack, attacks_of
from apps.serving.tests.pod import Pod
from apps.serving.tests.siege import Outcome, besieged

COLUMNS = ("attack", "clients", "peak, MB", "worst /livez, ms", "honest client", "SIGTERM to end, s", "sent")


def row(*cells: object) -> str:
    """Return a line of the table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def outcome_row(attack: Attack, clients: int, outcome: Outcome) -> str:
    """Return one outcome as a line."""
    peak = "killed" if outcome.killed else f"{outcome.peak / 1e6:.0f}"
    end = "" if outcome.killed else "not within the grace" if outcome.end is None else f"{outcome.end:.1f}"
    honest = ", ".join(f"{status} after {seconds:.1f} s" for status, seconds in outcome.honest[:1]) or "no answer"
    sent = ", ".join(f"{name}: {count:.0f}" for name, count in sorted(outcome.tally.items()))
    return row(attack.name, clients, peak, f"{outcome.livez * 1000:.0f}", honest, end, sent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", nargs="+", choices=["classifier", "lm"])
    parser.add_argument("--only", nargs="+", default=[""], help="only attacks whose name contains one of these texts")
    parser.add_argument("--seconds", type=float, default=3, help="how long each lasts before SIGTERM")
    parser.add_argument("--drain", type=float, help="seconds; the chart's by default")
    parser.add_argument("--request-timeout", type=float, help="seconds; the chart's by default")
    options = parser.parse_args()
    print(row(*COLUMNS), row(*["---"] * len(COLUMNS)), sep="\n", flush=True)
    timings = {"drain": options.drain, "request_timeout": options.request_timeout}
    for app in options.apps:
        pod = replace(Pod.of(app), **{name: value for name, value in timings.items() if value is not None})
        with tempfile.TemporaryDirectory() as folder:
            model = attacks_of(app).settings(Path(folder))
            for attack in (
                attack for attack in attacks_of(app).ATTACKS if any(text in attack.name for text in options.only)
            ):
                for clients in sorted({1, attack.clients}):
                    with besieged(app, pod, model) as service:
                        outcome = service.under(attack, clients, options.seconds, end=True)
                    print(outcome_row(attack, clients, outcome), flush=True)


if __name__ == "__main__":
    main()
