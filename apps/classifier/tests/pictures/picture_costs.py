"""Reads pictures one by one as the service does and prints, as JSON, what each cost; a process of its own.

`python -m …picture_costs FILE…` -> {name: [peak bytes beyond those at the start, longest CPU seconds without a look
at whether anyone waits, the problem or null]}.
"""

import json
import sys
import time
from pathlib import Path

from apps.classifier.tests.pictures.pictures import drawn, encoded, seen
from apps.serving.problems import Problem
from apps.serving.tests.processes import resident_bytes


class Looks:
    """Never cancelled; knows the longest time between two looks."""

    def __init__(self) -> None:
        self.longest, self._last = 0.0, time.thread_time()

    def __call__(self) -> bool:
        now = time.thread_time()
        self.longest, self._last = max(self.longest, now - self._last), now
        return False


def cost(content: bytes, rest: int) -> tuple[int, float, str | None]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
    looks, problem = Looks(), None
    try:
        seen(content, cancelled=looks)
    except Problem as refused:
        problem = refused.detail
    looks()
    return resident_bytes(peak=True) - len(content) - rest, looks.longest, problem


if __name__ == "__main__":
    for kind in ("PNG", "JPEG"):
        seen(encoded(drawn(), kind))  # what Pillow imports is not a picture's cost
    rest = resident_bytes()
    print(json.dumps({name: cost(Path(name).read_bytes(), rest) for name in sys.argv[1:]}))
