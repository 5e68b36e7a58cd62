"""Reads memory for a while, and prints bytes per second: `memory_rate.py SECONDS`. Needs numpy."""

import sys
import time

import numpy as np

array = np.ones(32 * 2**20)  # 256 MiB, more than any cache
read, start, seconds = 0, time.monotonic(), float(sys.argv[1])
while time.monotonic() < start + seconds:
    array.sum()
    read += array.nbytes
print(read / (time.monotonic() - start))
