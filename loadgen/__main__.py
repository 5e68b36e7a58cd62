"""`python -m loadgen classifier | lm | query`."""

import os
import sys

from loadgen.cli import main

try:
    sys.exit(main())
except KeyboardInterrupt:  # outside a run, where nothing has been measured yet
    sys.exit(130)
except BrokenPipeError:  # the reader of the output is gone; without this Python complains once more at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
