"""Writes what a run leaves: the JSON document and the report. A full disk costs single requests, never the figures."""

import errno
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from loadgen.commands import files
from loadgen.commands.options import LoadOptions
from loadgen.engine.run import Recorded
from loadgen.report import page
from loadgen.statistics import output

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: beyond the largest file of a file system or a user


def write(options: LoadOptions, document: Mapping[str, Any], recorded: Recorded) -> bool:
    """Write JSON and report, and remove the records; return whether both were written in full."""
    written = _write_output(options.output, document, recorded) if options.output else True
    shutil.rmtree(recorded.folder, ignore_errors=True)  # the report needs none of them, but may need their space
    if options.report:
        written = files.write_text("report", options.report, page.report(document)) and written
    return written


def _write_output(path: str, document: Mapping[str, Any], recorded: Recorded) -> bool:
    try:
        with files.opened(path) as file:
            output.write(file, document, recorded)
        return True
    except OSError as error:
        if error.errno not in FULL or not files.is_replaced(path):
            return files.report_failure("output", path, error)
        reason = error.strerror
    shutil.rmtree(recorded.folder, ignore_errors=True)
    if files.write("output", path, lambda file: output.write(file, document, None)):
        print(f"--output {path}: {reason}; every figure is written, `requests` is null.", file=sys.stderr)
    return False
