"""Decompresses a .joblib file, up to the size that the memory limit allows for a forest."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from apps.serving.machine.memory import memory_limit

MAX_BYTES = 4 * 1024**3  # where memory has no limit
SHARES = 3  # of the memory limit: the content, the arrays that are made of it, and everything else
MAX_DICTIONARY_BYTES = 80 * 1024**2  # of a decompressor; xz -9 needs 65 MiB


class Decompressor(Protocol):
    """What the decompressors of zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


COMPRESSIONS: dict[bytes, Callable[[], Decompressor]] = {  # by the first bytes of a file
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES),
    b"]\x00": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES),
    b"\x78": zlib.decompressobj,
}
UNREAD = {  # by the first bytes of a file
    b"\x04\x22\x4d\x18": "compressed by lz4",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PK\x03\x04": "a zip archive",
}


class UnreadableError(Exception):
    """Why a file cannot be read, in one line without its path."""


def process_bytes() -> int:
    """Return how many bytes of memory this process may use."""
    return memory_limit() or MAX_BYTES * SHARES


def max_bytes() -> int:
    """Return how many bytes a file and its decompressed content may have together."""
    return min(MAX_BYTES, process_bytes() // SHARES)


def expanded(content: bytes, limit: int) -> bytes:
    """Return `content`, decompressed if it is compressed.

    Raises UnreadableError if the compressed and the decompressed content together exceed `limit` bytes.
    """
    for magic, start in COMPRESSIONS.items():
        if content.startswith(magic):
            return _expanded(start(), content, limit)
    if reasons := [reason for magic, reason in UNREAD.items() if content.startswith(magic)]:
        raise UnreadableError(f"it is {reasons[0]}. Load it where it was made, and joblib.dump it without `compress`")
    return content


def _expanded(decompressor: Decompressor, content: bytes, limit: int) -> bytes:
    room = limit - len(content)
    result = decompressor.decompress(content, max(room, 0) + 1)
    if len(result) > room:
        raise UnreadableError(f"it expands to more than {limit} bytes, the most that is read")
    if not decompressor.eof:
        raise UnreadableError("its compressed content is cut short")
    return result
