"""Pictures for tests: a drawn seven in any form, and files that decode to much more than their size."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, ImageDraw

from apps.classifier.pictures import digit
from apps.classifier.pictures.decoding import Bounds

POD_BYTES = 512 * 2**20  # the classifier's memory limit in the chart
BOUNDS = Bounds(50_000_000, POD_BYTES * 2 // 5)
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by PNG's colour type


def encoded(picture: Image.Image, file_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def drawn(size=(200, 300), at=(60, 40), ink="black", paper="white", mode="RGB", width=14) -> Image.Image:
    """Draw a seven of 60 x 120 pixels."""
    picture = Image.new(mode, size, paper)
    x, y = at
    ImageDraw.Draw(picture).line([(x, y), (x + 60, y), (x + 20, y + 120)], ink, width, joint="curve")
    return picture


def read_file(content: bytes, bounds: Bounds = BOUNDS, cancelled: Callable[[], bool] = lambda: False) -> np.ndarray:
    """Return the image, uint8 (28, 28), that the model gets for a file."""
    media_type = "image/jpeg" if content.startswith(b"\xff\xd8") else "image/png"
    return digit.read(content, media_type, bounds, cancelled)


def read_picture(picture: Image.Image, file_format: str = "PNG", **options) -> np.ndarray:
    """Return the image that the model gets for a picture."""
    return read_file(encoded(picture, file_format, **options))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of the ink that differs, 0 to 1."""
    return np.abs(one.astype(float) - other).sum() / one.sum()


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, colour: int, rows: Iterable[bytes]) -> bytes:
    """Return a PNG of 8 bits a channel, compressed row by row, so that the whole picture is never in memory."""
    packer = zlib.compressobj(1)
    content = b"".join(packer.compress(b"\0" + row) for row in rows) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few hundred bytes whose header claims a huge picture."""
    return png(width, height, 0, [bytes(10_000)])


def bar(width: int, height: int, colour: int = 0) -> bytes:
    """Return an opaque PNG of any size: a black upright bar on white."""
    pixel = CHANNELS[colour]
    opaque = b"\xff" if colour in (4, 6) else b""
    white, black = b"\xff" * pixel, bytes(pixel - len(opaque)) + opaque
    left, thick = width * 2 // 5, width // 5
    paper, ink = white * width, white * left + black * thick + white * (width - left - thick)
    return png(width, height, colour, (ink if height < 5 * y < 4 * height else paper for y in range(height)))


def with_segments(jpeg: bytes, segments: bytes) -> bytes:
    """Insert segments at the start of a JPEG."""
    return jpeg[:2] + segments + jpeg[2:]


def with_scans(jpeg: bytes, count: int) -> bytes:
    """Repeat the second last scan of a progressive JPEG, with its table."""
    end = jpeg.rindex(b"\xff\xc4")
    start = jpeg.rindex(b"\xff\xc4", 0, end)
    return jpeg[:-2] + jpeg[start:end] * count + jpeg[-2:]
