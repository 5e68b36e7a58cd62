"""The steps that a language model computes are compared with what memory allows."""

import os
import sys
from pathlib import Path

import pytest

from ci.benchmarks.memory import MemoryLimit, bandwidth


def test_steps_are_a_share_of_what_reading_all_weights_allows():
    assert MemoryLimit(bandwidth=36e9, weight_bytes=144e6).describe(75) == (
        "75.0 steps/s are 30% of what memory allows (250: 144 MB of weights at 36.0 GB/s)"
    )


@pytest.mark.slow
def test_the_bandwidth_of_this_machine_is_measured():
    core = min(os.sched_getaffinity(0))
    assert 1e8 < bandwidth(Path(sys.executable), [core]) < 1e12
