"""When requests are due. All times are seconds since the run began."""

from dataclasses import dataclass

UNANSWERED_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class ClosedLoop:
    """`concurrency` users; each sends its next request as soon as it has the answer to the last one.

    The rate is therefore what the service makes of it: a slower service gets fewer requests.
    """

    concurrency: int
    duration_seconds: float

    def next_start(self, now: float, unanswered: bool) -> float | None:
        """When a user who is free at `now` sends next, or None when the run is over.

        `unanswered`: this user's last request got no answer at all. It then pauses, because a port that
        refuses or resets at once would otherwise be asked thousands of times a second.
        """
        due = now + UNANSWERED_PAUSE_SECONDS if unanswered else now
        return due if due < self.duration_seconds else None
