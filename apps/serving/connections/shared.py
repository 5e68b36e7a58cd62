"""What all connections of a process share."""

from dataclasses import dataclass
from typing import Protocol

from apps.serving.byte_budget import ByteBudget
from apps.serving.connections.turns import Turns


class Arrivals(Protocol):
    """Counts the requests that are received and that the application has not begun to serve."""

    arrived: int


@dataclass(frozen=True)
class Shared:
    """One per process. `max_age_seconds` is the age after which a response ends its connection; 0: no limit.

    Reads whose bytes are discarded take turns of their own: a crowd of refused uploads does not delay a request.
    """

    turns: Turns
    discards: Turns
    budget: ByteBudget
    arrivals: Arrivals
    max_age_seconds: float
