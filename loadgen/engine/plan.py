"""A plan: everything that the engine needs to send a load. All times are seconds from the start of the run."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadgen.client.pool import Connections
from loadgen.targets.target import Target


@dataclass(frozen=True)
class Phase:
    """A named part of the run. Phases follow one another from 0; warm-up phases count apart."""

    name: str
    seconds: float
    warmup: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send, where and when.

    arrivals: intended times of an open loop, float64, sorted. None is a closed loop: each of `concurrency` users
    sends its next request when the previous one is answered.
    concurrency: in an open loop the most requests that are sent at once; further ones wait for a free connection.
    Equal to `max_in_flight`, nothing ever waits.
    max_in_flight: the most requests that wait or are under way; arrivals beyond it are dropped and counted.
    timeout_seconds: for one request, from the moment at which it is sent (connecting included); before that as long
    again for a free connection, to the second.
    obey_retry_after: a user of a closed loop waits as long as a 429 or 503 asks.
    workers: processes; never more than `concurrency`.
    """

    target: Target
    url: str
    phases: tuple[Phase, ...]
    arrivals: NDArray[np.float64] | None = None
    concurrency: int = 1
    max_in_flight: int = 1
    connections: Connections = 5.0
    timeout_seconds: float = 30.0
    workers: int = 1
    headers: tuple[tuple[str, str], ...] = field(default=())
    ca: Path | None = None
    insecure: bool = False
    obey_retry_after: bool = False
    seed: int = 0

    @property
    def seconds(self) -> float:
        """Length of the sending window."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def starts(self) -> tuple[float, ...]:
        """Start of each phase."""
        return tuple(sum(phase.seconds for phase in self.phases[:number]) for number in range(len(self.phases)))
