"""Strips a PNG or JPEG of everything that its pixels do not need.

Texts, profiles, previews and animations are where a small file grows in memory: Pillow keeps 130 bytes for each of two
million empty segments, and reads an EXIF entry as often as the file points to it. None of this reaches Pillow.
"""

import io
import re
import struct
from collections.abc import Callable, Iterator

from apps.serving.problems import ClientGone, Problem

MAX_SCANS, MAX_SEGMENTS = 100, 1000  # of a JPEG: programs write up to 20 scans; one of 20 bytes can take 30 ms
PNG_START, PNG_KEPT = 8, {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
JPEG_START, SCAN, END, EXIF = 2, 0xDA, 0xD9, 0xE1
FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended and progressive; Huffman and arithmetic coding
JPEG_KEPT = FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, SCAN, END, 0xE0, 0xEE}  # with tables, and two that set the colour space
MAX_FRAME_BYTES = 22  # of a frame header with four components; Pillow keeps 80 bytes for each of any number
WINDOW_BYTES = 65_536  # searched at once: a search holds the GIL
MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])", re.DOTALL)  # not those that occur within a scan
ORIENTATION = 0x0112
UPRIGHT = 1


class PictureFile(io.BytesIO):
    """The rest of a picture, as a file for Pillow to read; reading raises ClientGone once `cancelled()` is true.

    `orientation` is that of EXIF, 1 to 8; `interleaved` counts the components in a JPEG's first scan.
    """

    def __init__(self, content: bytes | bytearray, file_format: str, cancelled: Callable[[], bool]) -> None:
        super().__init__()
        self.orientation = UPRIGHT
        self.interleaved = 0
        self._cancelled, self._content = cancelled, memoryview(content)
        self._keep_jpeg() if file_format == "JPEG" else self._keep_png()
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes; Pillow calls this for each block."""
        check(self._cancelled)
        return super().read(size)

    def _keep_png(self) -> None:
        self.write(self._content[:PNG_START])
        for name, start, end in _chunks(self._content):
            if name in PNG_KEPT:
                self.write(self._content[start:end])
            elif name == b"eXIf":
                self.orientation = _orientation(bytes(self._content[start + 8 : end]))

    def _keep_jpeg(self) -> None:
        self.write(self._content[:JPEG_START])
        scans = 0
        for number, (marker, start, end) in enumerate(_segments(self._content)):
            scans += marker == SCAN
            if scans > MAX_SCANS or number >= MAX_SEGMENTS:
                rule = f"more than {MAX_SCANS} scans or {MAX_SEGMENTS} segments, and is not decoded"
                raise Problem(422, f"The JPEG has {rule}. Save it as a baseline JPEG without metadata.")
            if marker == SCAN and scans == 1:
                self.interleaved = int.from_bytes(self._content[start + 4 : start + 5])
            if marker in JPEG_KEPT and not (marker in FRAMES and end - start > MAX_FRAME_BYTES):
                self.write(self._content[start:end])
            elif marker == EXIF and bytes(self._content[start + 4 : end][:6]) == b"Exif\0\0":
                self.orientation = _orientation(bytes(self._content[start + 10 : end]))


def check(cancelled: Callable[[], bool]) -> None:
    """Raise ClientGone once the request is cancelled."""
    if cancelled():
        raise ClientGone


def _chunks(content: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each chunk of a PNG."""
    start = PNG_START
    while start + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, start)
        yield name, start, start + 12 + size
        start += 12 + size


def _segments(content: memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment of a JPEG up to its end; a scan includes its coded data."""
    position = JPEG_START
    while marker := _marker(content, position):
        code, start, position = marker[1][0], marker.start(), marker.end()
        if code != END:
            position += int.from_bytes(content[position : position + 2])
        if code == SCAN:
            following = _marker(content, position)
            position = following.start() if following else len(content)
        yield code, start, position
        if code == END:
            return


def _marker(content: memoryview, position: int) -> re.Match[bytes] | None:
    """Return the next marker at or after `position`."""
    for start in range(position, len(content), WINDOW_BYTES):
        if marker := MARKER.search(content, start, start + WINDOW_BYTES + 1):
            return marker
    return None


def _orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of an EXIF block, or UPRIGHT if there is none."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            if struct.unpack_from(f"{order}H", exif, entry)[0] == ORIENTATION:
                orientation: int = struct.unpack_from(f"{order}H", exif, entry + 8)[0]
                return orientation
    except struct.error:
        pass  # a block that ends early
    return UPRIGHT
