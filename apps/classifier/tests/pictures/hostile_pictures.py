"""Pictures that are small on the wire and large in memory."""

import io
import struct
import zlib

from PIL import Image

# Depth, PNG's number of the colour type, a black pixel.
COLOURS = {"L": (8, 0, b"\0"), "RGB": (8, 2, b"\0\0\0"), "RGBA": (8, 6, b"\0\0\0\xff"), "I;16": (16, 0, b"\0\0")}
SOS, EOI = b"\xff\xda", b"\xff\xd9"


def png(width: int, height: int, mode: str = "L", rows: int | None = None) -> bytes:
    """Return a white PNG, black in a corner, with about the first `rows` rows (by default all)."""
    depth, colour, black = COLOURS[mode]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    ink = max(1, width // 3)
    white = b"\0" + b"\xff" * len(black) * width
    inked = b"\0" + black * ink + b"\xff" * len(black) * (width - ink)
    packer, packed, step = zlib.compressobj(), [], max(1, 1_000_000 // width)
    for row in range(0, height if rows is None else rows, step):
        packed.append(packer.compress((inked if row <= height // 3 else white) * min(step, height - row)))
    data = b"".join([*packed, packer.flush()])
    return _png([(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")])


def png_of_texts(count: int) -> bytes:
    """Return a small PNG with compressed texts of a megabyte each."""
    text = b"Comment\0\0" + zlib.compress(b" " * 1_000_000)
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return _png([(b"IHDR", header), *[(b"zTXt", text)] * count, (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")])


def jpeg(width: int, height: int, mode: str, **options: object) -> bytes:
    """Return a JPEG of one colour with a bar."""
    picture, file = Image.new(mode, (width, height), "white" if mode != "CMYK" else 0), io.BytesIO()
    picture.paste("black" if mode != "CMYK" else (255,) * 4, (width // 3, height // 3, width // 2, height // 2))
    picture.save(file, "JPEG", subsampling=0, **options)
    return file.getvalue()


def jpeg_of_scans(width: int, height: int, size: int) -> bytes:
    """Return a progressive JPEG whose last scan, a few bytes for millions of pixels, is repeated up to `size` bytes."""
    file = io.BytesIO()
    Image.new("L", (width, height), "white").save(file, "JPEG", progressive=True)
    content = file.getvalue().removesuffix(EOI)
    scan = content[content.rindex(SOS) :]
    return content + scan * ((size - len(content)) // len(scan)) + EOI


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
