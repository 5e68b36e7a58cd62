"""Decodes pictures one by one as the service does, in a process of its own, and prints their costs as JSON.

`python -m …picture_costs FILE…` -> {name: [peak bytes beyond those at the start, longest CPU seconds between two checks
for cancellation, the problem or null]}.
"""

import json
import sys
import time
from pathlib import Path

from apps.classifier.tests.pictures.pictures import drawn, encoded, read_file
from apps.serving.problems import Problem
from apps.serving.tests.processes import resident_bytes


class Checks:
    """Answers that nothing is cancelled; measures the longest CPU time between two checks, in seconds."""

    def __init__(self) -> None:
        self.longest, self._last = 0.0, time.thread_time()

    def __call__(self) -> bool:
        now = time.thread_time()
        self.longest, self._last = max(self.longest, now - self._last), now
        return False


def cost(content: bytes, rest: int) -> tuple[int, float, str | None]:
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak to what is resident
    checks, problem = Checks(), None
    try:
        read_file(content, cancelled=checks)
    except Problem as refused:
        problem = refused.detail
    checks()
    return resident_bytes(peak=True) - len(content) - rest, checks.longest, problem


if __name__ == "__main__":
    for file_format in ("PNG", "JPEG"):
        read_file(encoded(drawn(), file_format))  # imports Pillow, which is not a picture's cost
    rest = resident_bytes()
    print(json.dumps({name: cost(Path(name).read_bytes(), rest) for name in sys.argv[1:]}))
