"""`python -m loadgen`: runs the command line."""

import errno
import io
import os
import sys

UNWRITABLE = {errno.EPIPE, errno.ENOSPC}  # the reader of standard output has ended, or its disk is full


def main() -> int:
    """Run the command line, whatever the standard streams are: closed, full, or without our characters."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file would take the place of a closed stream
        pass
    os.close(number)
    sys.stdout, sys.stderr = (stream or io.StringIO() for stream in (sys.stdout, sys.stderr))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from loadgen.commands import cli  # takes a second, in which Ctrl-C may come too

        status = cli.main()
    except KeyboardInterrupt:  # before or after a run, so there is nothing to report
        status = 130
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        status = 1
    try:
        sys.stdout.flush()
    except OSError:  # without dup2 Python would try once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return status or 1
    return status


if __name__ == "__main__":
    sys.exit(main())
