"""How many steps a second memory allows a language model: a step reads all weights once."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.benchmarks.contender import PEERS

SECONDS = 1.5


@dataclass(frozen=True)
class MemoryLimit:
    """What memory gives to some cores together, in bytes per second, and the bytes of the weights."""

    bandwidth: float
    weight_bytes: float

    def describe(self, steps: float) -> str:
        """Compare `steps` per second with the limit."""
        limit = self.bandwidth / self.weight_bytes
        sizes = f"{self.weight_bytes / 1e6:.0f} MB of weights at {self.bandwidth / 1e9:.1f} GB/s"
        return f"{steps:.1f} steps/s are {steps / limit:.0%} of what memory allows ({limit:.0f}: {sizes})"


def bandwidth(python: Path, cores: Sequence[int]) -> float:
    """Return the bytes per second that `cores` read together; `python` has numpy."""
    command: list[str | Path] = [python, PEERS / "memory_rate.py", str(SECONDS)]
    readers = [
        subprocess.Popen(["taskset", "--cpu-list", str(core), *command], stdout=subprocess.PIPE, text=True)
        for core in cores
    ]
    return sum(float(reader.communicate()[0]) for reader in readers)
