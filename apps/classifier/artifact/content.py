"""Expands the content of a .joblib file, within what the memory limit lets a forest need."""

import bz2
import lzma
import zlib
from typing import Any

from apps.serving.memory import memory_limit

MAX_BYTES = 4 * 1024**3  # where memory has no limit
SHARES = 3  # of the memory limit: the content, the arrays that are made of it, and everything else
MAX_DICTIONARY_BYTES = 80 * 1024**2  # of a decompressor; xz -9 needs 65 MiB
COMPRESSIONS = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES),
    b"]\x00": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES),
    b"\x78": zlib.decompressobj,
}


class UnreadableError(Exception):
    """Why a file is not read, in one line without its path."""


def max_bytes() -> int:
    """How large a file, together with what it expands to, may be."""
    return min(MAX_BYTES, (memory_limit() or MAX_BYTES * SHARES) // SHARES)


def expanded(content: bytes, limit: int) -> bytes:
    """Return `content`, decompressed where it is compressed; raise UnreadableError if both exceed `limit` bytes."""
    for magic, start in COMPRESSIONS.items():
        if content.startswith(magic):
            return _expanded(start(), content, limit)
    return content


def _expanded(decompressor: Any, content: bytes, limit: int) -> bytes:
    room = limit - len(content)
    result = decompressor.decompress(content, max(room, 0) + 1)
    if len(result) > room:
        raise UnreadableError(f"it expands to more than {limit} bytes, the most that is read")
    if not decompressor.eof:
        raise UnreadableError("its compressed content is cut short")
    return result
