"""One request and what became of it. Plain class attributes are the defaults: an instance stores what differs."""

import asyncio
import math
import time
from email.utils import parsedate_to_datetime
from typing import Any

from loadgen.targets.outcome import Outcome
from loadgen.targets.target import Reading, Sample, Stream

NO_READING = Reading()
LONGEST_DELAY = 2.0**31  # seconds; what RFC 9111 (1.2.2) makes of larger ones


class Exchange:
    """All times are seconds of the clock of the run; `loadgen.engine.records` says what each field means."""

    waiting_since = math.nan  # for a free connection
    sent = math.nan
    first_byte = math.nan
    end = math.nan
    connecting = 0.0
    status = 0
    outcome = Outcome.OK
    detail: str | None = None
    pod: bytes | None = None
    request_id: bytes | None = None
    retry_after: bytes | None = None
    version: str | None = None
    stale = False
    reading: Reading = NO_READING
    stream: Stream | None = None
    opening: asyncio.Task[None] | None = None  # while a connection is opened for it
    user: Any = None  # the user of a closed loop

    def __init__(self, request: bytes, sample: Sample, intended: float) -> None:
        self.request, self.sample, self.intended = request, sample, intended

    @property
    def retry_seconds(self) -> float:
        """Seconds that a 429 or 503 asked to wait, also by a date; NaN without."""
        if self.retry_after is None or self.status not in (429, 503):
            return math.nan
        text = self.retry_after.strip().decode("latin-1")
        if text.isascii() and text.isdigit():
            return min(float(text), LONGEST_DELAY)
        try:
            return min(max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0), LONGEST_DELAY)
        except (ValueError, OverflowError):
            return math.nan
