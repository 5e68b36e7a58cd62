"""Determines when requests start. All times are seconds since the start of the run."""

from dataclasses import dataclass

UNANSWERED_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class ClosedLoop:
    """`concurrency` users; each sends its next request as soon as the previous one is answered.

    The rate therefore depends on the service: a slower service receives fewer requests.
    """

    concurrency: int
    duration_seconds: float

    def next_start(self, now: float, unanswered: bool) -> float | None:
        """Return when a user without a request at `now` sends the next one, or None after the end of the run.

        `unanswered`: the user's previous request received no answer. The user then pauses; otherwise it would send
        thousands of requests per second to a port that refuses or resets connections.
        """
        due = now + UNANSWERED_PAUSE_SECONDS if unanswered else now
        return due if due < self.duration_seconds else None
