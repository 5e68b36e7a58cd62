"""Received bytes of one connection that wait to be parsed."""

from collections.abc import Callable

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from apps.serving.connections.turns import Turns

SLICE_BYTES = 4096  # parsed per turn, so that many requests in one read cost no more memory than a few


class Backlog:
    """Calls `parse` with one slice per turn while `is_blocked` returns False."""

    def __init__(self, turns: Turns, parse: Callable[[bytes], object], is_blocked: Callable[[], object]) -> None:
        self._turns, self._parse, self._is_blocked = turns, parse, is_blocked
        self.unparsed = bytearray()
        self.body_left = 0  # bytes still to come of a body of known length, which needs no small slices
        self._queued = False

    @property
    def is_large(self) -> bool:
        """Whether so much waits that the connection should not be read."""
        return len(self.unparsed) >= HIGH_WATER_LIMIT

    def proceed(self) -> None:
        """Queue the next slice, if there is one and it is not blocked."""
        if self.unparsed and not self._queued and not self._is_blocked():
            self._queued = True
            self._turns.enqueue(self._parse_slice)

    def _parse_slice(self) -> None:
        self._queued = False
        size = max(SLICE_BYTES, min(self.body_left, HIGH_WATER_LIMIT))
        data = bytes(self.unparsed[:size])
        del self.unparsed[:size]
        self._parse(data)
        self.proceed()
