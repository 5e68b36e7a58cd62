"""Writes the document where `--output` points."""

from collections.abc import Mapping
from typing import Any

from loadgen.engine.run import Recorded


def write(output: str, document: Mapping[str, Any], recorded: Recorded) -> None:
    """Write `document` with `requests`, one object a line, last. Raises OSError.

    "-" is standard output; links are followed; a regular file is replaced atomically, anything else (device, FIFO)
    is written through.
    """
    raise NotImplementedError


def mistakes(output: str) -> list[str]:
    """Return why `output` cannot be written, in words; nothing is changed."""
    raise NotImplementedError
