"""Counts the bytes that clients make this process keep: what it has received of requests, and answers not read.

Beyond the limit the largest that is not complete yet is given up: many slow uploads cost a small request nothing.
"""

from collections.abc import Callable


class Hold:
    """The bytes of one client; every one of `drops` is called when others need the room and this is the largest."""

    def __init__(self, budget: "ByteBudget", drop: Callable[[], object]) -> None:
        self.size, self.complete, self.dropped = 0, False, False
        self.drops, self._budget = [drop], budget

    def grow(self, size: int) -> None:
        """Count `size` bytes more, or fewer; `dropped` may be true, of this one or another, when it returns."""
        if not self.dropped:
            self.size += size
            self._budget.grown(self, size)

    def release(self) -> None:
        """Count these bytes no more."""
        self._budget.released(self)


class ByteBudget:
    """At most `limit` bytes. All calls come from one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held, self.dropped = limit, 0, 0
        self._holds: set[Hold] = set()

    def hold(self, drop: Callable[[], object]) -> Hold:
        """Begin to count for one client; `drop` is called at most once, in the middle of anybody's `grow`."""
        hold = Hold(self, drop)
        self._holds.add(hold)
        return hold

    @property
    def crowded(self) -> str:
        """What to tell whoever is given up."""
        rule = f"Bodies under way may hold {self.limit} bytes together (MAX_TOTAL_BODY_BYTES)"
        return f"{rule}, and this was the largest that was not complete. Try again later."

    def grown(self, hold: Hold, size: int) -> None:
        """Let the largest go until the rest fits; what is complete stays, for it is being served."""
        self.held += size
        while self.held > self.limit and (largest := self._largest(hold)):
            drops, largest.dropped = largest.drops, True
            self.dropped += 1
            self.released(largest)
            for drop in drops:
                drop()

    def _largest(self, grown: Hold) -> Hold | None:
        """The largest that is not complete; of hundreds of a size, the one that has just grown, without a search."""
        if not grown.complete and grown.size * len(self._holds) >= self.held:
            return grown
        return max((hold for hold in self._holds if not hold.complete), key=lambda hold: hold.size, default=None)

    def released(self, hold: Hold) -> None:
        """Forget a hold; again: nothing."""
        if hold in self._holds:
            self._holds.remove(hold)
            self.held -= hold.size
            hold.size, hold.drops = 0, []  # which lead back to the hold: only the garbage collector would end that
