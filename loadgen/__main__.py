"""`python -m loadgen classifier | lm | query`."""

import os
import sys

try:
    from loadgen.cli import main  # takes a second, in which Ctrl-C may come too

    sys.exit(main())
except KeyboardInterrupt:  # before or after a run, so there is nothing to report
    sys.exit(130)
except BrokenPipeError:  # the reader of the output has exited; without dup2 Python reports it once more at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
