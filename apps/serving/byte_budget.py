"""Bounds the bytes that clients make this process keep: received parts of requests, and answers that are not read.

Above the limit, the largest incomplete holder is dropped, so that many slow uploads do not displace a small request.
"""

from collections.abc import Callable


class Hold:
    """The bytes of one request or one purpose; `on_drop` is called when the budget drops it."""

    def __init__(self, budget: "ByteBudget", on_drop: Callable[[], object]) -> None:
        self.size = 0
        self.complete = False  # a complete request is being served and is not dropped
        self.dropped = False
        self.on_drop: Callable[[], object] | None = on_drop
        self._budget = budget

    def grow(self, size: int) -> None:
        """Count `size` more bytes (fewer if negative). This may drop this hold or another one."""
        if not self.dropped:
            self.size += size
            self._budget.grown(self, size)

    def release(self) -> None:
        """Stop counting these bytes; a second call does nothing."""
        self._budget.released(self)


class Usage:
    """Bytes of one purpose that rise and fall; it takes part in the budget only while there are any."""

    def __init__(self, budget: "ByteBudget", on_drop: Callable[[], object]) -> None:
        self._budget, self._on_drop = budget, on_drop
        self._hold: Hold | None = None

    def __bool__(self) -> bool:
        return self._hold is not None

    def set(self, size: int) -> None:
        """Count `size` bytes instead of the bytes counted before."""
        if size:
            self._hold = self._hold or self._budget.hold(self._on_drop)
            self._hold.grow(size - self._hold.size)
        elif self._hold is not None:
            self._hold.release()
            self._hold = None


class ByteBudget:
    """At most `limit` bytes over all holds. Not thread-safe: call it from one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held, self.dropped = limit, 0, 0
        self._holds: set[Hold] = set()

    def hold(self, on_drop: Callable[[], object]) -> Hold:
        """Return a new hold of 0 bytes. `on_drop` is called at most once, inside the `grow` of any hold."""
        hold = Hold(self, on_drop)
        self._holds.add(hold)
        return hold

    @property
    def refusal(self) -> str:
        """The sentence for a client whose request was dropped."""
        rule = f"Bodies under way may hold {self.limit} bytes together (MAX_TOTAL_BODY_BYTES)"
        return f"{rule}, and this was the largest that was not complete. Try again later."

    def grown(self, hold: Hold, size: int) -> None:
        """Count the growth of `hold`; drop the largest incomplete hold until the rest fits."""
        self.held += size
        while self.held > self.limit and (largest := self._largest_incomplete(hold)):
            on_drop, largest.dropped = largest.on_drop, True
            self.dropped += 1
            self.released(largest)
            if on_drop:
                on_drop()

    def released(self, hold: Hold) -> None:
        """Forget `hold`; a second call does nothing."""
        if hold in self._holds:
            self._holds.remove(hold)
            self.held -= hold.size
            hold.size, hold.on_drop = 0, None  # it refers to the hold: break the cycle without the collector

    def _largest_incomplete(self, grown: Hold) -> Hold | None:
        # Among hundreds of holds of equal size, take the one that has just grown and save the search.
        if not grown.complete and grown.size * len(self._holds) >= self.held:
            return grown
        return max((hold for hold in self._holds if not hold.complete), key=lambda hold: hold.size, default=None)
