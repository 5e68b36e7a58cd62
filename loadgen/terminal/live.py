"""The live view: rewritten in place on a terminal; elsewhere a plain line every five seconds."""

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadgen.engine.follow import Second
from loadgen.scenarios.scenario import Phase
from loadgen.targets.outcome import Outcome

if TYPE_CHECKING:
    from loadgen.cluster.watch import Current  # imports the client of Kubernetes' API
from loadgen.text import count, duration, error_name, rate

PLAIN_LINE_SECONDS = 5
BAR = "▁▂▃▄▅▆▇█"
HISTORY_SECONDS = 60


class LiveView:
    """Shows each second of a run. As a context manager it gives the terminal back, also after an exception."""

    def __init__(
        self,
        stream: TextIO,
        phases: Sequence[Phase],
        autoscaler: "Callable[[], Current | None]" = lambda: None,
    ) -> None:
        self._stream, self._phases, self._autoscaler = stream, phases, autoscaler
        self._console = Console(file=stream, highlight=False)
        rewritable = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=True) if rewritable else None
        self._rates: list[int] = []
        self._totals = dict.fromkeys(("requests", "failed", "dropped"), 0)
        self._last_failure = ""

    def __enter__(self) -> "LiveView":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            with contextlib.suppress(OSError):
                self._live.stop()

    def show(self, second: Second) -> None:
        """Show a second. A stream that cannot be written does not end the run: its figures are still to be written."""
        self._add(second)
        with contextlib.suppress(OSError):
            if self._live:
                self._live.update(self._view(second), refresh=True)
            elif (second.second + 1) % PLAIN_LINE_SECONDS == 0:
                self._stream.write("  ".join([*self._figures(second), *self._cluster()]) + "\n")
                self._stream.flush()

    def _add(self, second: Second) -> None:
        self._totals["requests"] += second.succeeded + second.failed
        self._totals["failed"] += second.failed
        self._totals["dropped"] += second.dropped
        self._rates = [*self._rates, second.succeeded][-HISTORY_SECONDS:]
        failures = second.records[second.records["outcome"] != Outcome.OK]
        for record in failures[~(failures["outcome"] == Outcome.DROPPED)][-1:]:
            outcome = Outcome(int(record["outcome"])).label
            detail = second.texts[int(record["detail"])] if int(record["detail"]) < len(second.texts) else None
            self._last_failure = error_name(outcome, int(record["status"]) or None, detail)

    def _figures(self, second: Second) -> list[str]:
        # Failures stand first among the figures: the end of a line is what a narrow terminal cuts off.
        seconds = second.response_seconds
        return [
            f"{second.second + 1:3}/{self._length:g} s",
            self._failures(),
            count(self._totals["requests"], "request"),
            f"{rate(second.succeeded)}/s",
            *([f"p50 {duration(seconds['p50'])}", f"p99 {duration(seconds['p99'])}"] if seconds else []),
            f"{second.in_flight} under way",
        ]

    @property
    def _length(self) -> float:
        return sum(phase.seconds for phase in self._phases)

    def _failures(self) -> str:
        dropped = f", {self._totals['dropped']:,} dropped" if self._totals["dropped"] else ""
        last = f" ({self._last_failure})" if self._last_failure else ""
        return f"{self._totals['failed']:,} failed{dropped}{last}"

    def _cluster(self) -> list[str]:
        state = self._autoscaler()
        if state is None:
            return []
        cpu = f"CPU {_known(state.utilization)}% of {_known(state.target)}%"
        return [f"{_known(state.ready)} of {_known(state.desired)} replicas ready", cpu]

    def _view(self, second: Second) -> Text:
        lines = [self._phase_line(second)]
        failed = self._totals["failed"] or self._totals["dropped"]
        lines.append(Text(self._failures(), style="bold red" if failed else ""))
        seconds = second.response_seconds
        figures = f"   p50 {duration(seconds['p50'])}  p99 {duration(seconds['p99'])}" if seconds else ""
        lines.append(Text(f"{_sparkline(self._rates)} {rate(second.succeeded)}/s of {second.due} due{figures}"))
        if second.waiting or second.cpu_share >= 0.9:
            waiting = f"{count(second.waiting, 'request')} waiting for a connection, "
            lines.append(Text(f"generator: {waiting}{second.cpu_share:.0%} of a core", style="yellow"))
        if cluster := self._cluster():
            lines.append(Text(", ".join(cluster)))
        for line in lines:
            line.truncate(self._console.width - 1, overflow="ellipsis")
        return Text("\n").join(lines)

    def _phase_line(self, second: Second) -> Text:
        end, upcoming = 0.0, ""
        for number, phase in enumerate(self._phases):
            end += phase.seconds
            if second.second < end:
                following = self._phases[number + 1 : number + 2]
                upcoming = f", then {following[0].name} in {end - second.second - 1:.0f} s" if following else ""
                break
        name = f"{second.phase}{upcoming}" if len(self._phases) > 1 or second.phase == "drain" else ""
        end_text = f", finishing {second.in_flight} (Ctrl-C drops them)" if second.phase == "drain" else ""
        return Text(f"{second.second + 1:3}/{self._length:g} s  {name}{end_text}", style="bold")


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)


def _sparkline(values: Sequence[int]) -> str:
    highest = max(*values, 1)
    return "".join(BAR[value * (len(BAR) - 1) // highest] for value in values[-30:])
