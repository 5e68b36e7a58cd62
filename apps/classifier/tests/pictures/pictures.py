"""Pictures for tests: a drawn seven in any form, and files that are larger than they look."""

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


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def drawn(size=(200, 300), at=(60, 40), ink="black", paper="white", mode="RGB", width=14) -> Image.Image:
    """A seven, 60 x 120."""
    picture = Image.new(mode, size, paper)
    x, y = at
    ImageDraw.Draw(picture).line([(x, y), (x + 60, y), (x + 20, y + 120)], ink, width, joint="curve")
    return picture


def seen(content: bytes, bounds: Bounds = BOUNDS, cancelled: Callable[[], bool] = lambda: False) -> np.ndarray:
    """What the model is given for a file."""
    media_type = "image/jpeg" if content.startswith(b"\xff\xd8") else "image/png"
    return digit.read(content, media_type, bounds, cancelled)


def read(picture: Image.Image, kind: str = "PNG", **options) -> np.ndarray:
    """What the model is given for a picture."""
    return seen(encoded(picture, kind, **options))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """How much of the ink differs, 0 to 1."""
    return np.abs(one.astype(float) - other).sum() / one.sum()


def chunk(name: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, colour: int, rows: Iterable[bytes]) -> bytes:
    """A PNG of 8 bits a channel, compressed row by row: the picture itself is never in memory."""
    packer = zlib.compressobj(1)
    content = b"".join(packer.compress(b"\0" + row) for row in rows) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is huge."""
    return png(width, height, 0, [bytes(10_000)])


def bar(width: int, height: int, colour: int = 0) -> bytes:
    """A PNG of a black bar that stands on white, opaque, of any size."""
    pixel = CHANNELS[colour]
    opaque = b"\xff" if colour in (4, 6) else b""
    white, black = b"\xff" * pixel, bytes(pixel - len(opaque)) + opaque
    left, thick = width * 2 // 5, width // 5
    paper, ink = white * width, white * left + black * thick + white * (width - left - thick)
    return png(width, height, colour, (ink if height < 5 * y < 4 * height else paper for y in range(height)))


def with_segments(jpeg: bytes, segments: bytes) -> bytes:
    """A JPEG with segments put at its start."""
    return jpeg[:2] + segments + jpeg[2:]


def with_scans(jpeg: bytes, count: int) -> bytes:
    """A progressive JPEG with its last scan but one, and that scan's table, repeated."""
    end = jpeg.rindex(b"\xff\xc4")
    start = jpeg.rindex(b"\xff\xc4", 0, end)
    return jpeg[:-2] + jpeg[start:end] * count + jpeg[-2:]
