"""Decodes a picture into grey pixels within a bound on memory.

Pillow decodes the whole picture once, in the mode of the file. Every later step works on strips of some rows, or on the
reduced picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np

from apps.classifier.pictures.picture_file import PictureFile, check
from apps.serving.machine.memory import memory_limit
from apps.serving.problems import ClientGone, Problem

if TYPE_CHECKING:
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

MAX_ASPECT = 100  # the longer side divided by the shorter one
MEMORY_SHARE = 2 / 5  # of the memory limit: an A4 page at 600 dpi as a progressive JPEG takes 209 MB
GREY_PIXELS = 2_000_000  # pictures with more are reduced
STRIP_PIXELS = 250_000  # a step on a strip holds the GIL for up to 3 ms
BLOCK_BYTES = 1024  # of the file between two checks for cancellation; those of a PNG decompress to up to 1 MB
MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2}  # of a pixel in Pillow's memory; other modes take 4
COEFFICIENT_BYTES = 2  # of a sample, in a JPEG of several scans
MAX_PIXEL_BYTES = 4 * COEFFICIENT_BYTES + 4
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # by EXIF orientation
    2: lambda grey: grey[:, ::-1],
    3: lambda grey: grey[::-1, ::-1],
    4: lambda grey: grey[::-1],
    5: lambda grey: grey.T,
    6: lambda grey: grey[::-1].T,
    7: lambda grey: grey[::-1, ::-1].T,
    8: lambda grey: grey.T[::-1],
}


@dataclass(frozen=True)
class Bounds:
    """The most pixels of a picture, and the most bytes that decoding it may take."""

    pixels: int
    decoded_bytes: int


@cache  # reading the memory limit takes 0.2 ms
def bounds_within_memory(pixels: int, pictures: int) -> Bounds:
    """Return the bounds of each picture, of up to `pixels`, where `pictures` of them are decoded at once."""
    limit = memory_limit()
    return Bounds(pixels, int(limit * MEMORY_SHARE / pictures) if limit else pixels * MAX_PIXEL_BYTES)


def decoded(content: bytes | bytearray, file_format: str, bounds: Bounds, cancelled: Callable[[], bool]) -> np.ndarray:
    """Return a "PNG" or "JPEG" as uint8 (height, width): upright, reduced if large, white where it is transparent.

    Raises Problem 422 for a broken picture or one beyond `bounds`, and ClientGone soon after `cancelled()` is true.
    """
    file = PictureFile(content, file_format, cancelled)
    image = _loaded(file, file_format, bounds)
    factor = ceil(sqrt(max(1, image.width * image.height / GREY_PIXELS)))
    rows = factor * max(1, STRIP_PIXELS // (image.width * factor))
    strips = []
    for top in range(0, image.height, rows):
        check(cancelled)
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strips.append([np.asarray(layer.reduce(factor)) for layer in _layers(strip)])
    grey = _on_backdrop(*(np.concatenate(layer) for layer in zip(*strips, strict=True)))
    return TURNS[file.orientation](grey) if file.orientation in TURNS else grey


def _loaded(file: PictureFile, file_format: str, bounds: Bounds) -> "Image.Image":
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    Image.MAX_IMAGE_PIXELS = None  # our own bounds are stricter, and their messages name the rule
    try:
        image = Image.open(file, formats=[file_format])
        _check_shape(image, bounds)
        coefficients = _coefficient_bytes(image, file.interleaved) if isinstance(image, JpegImageFile) else 0
        image.draft("L", (1000, 1000))  # a JPEG is decoded at a fraction of its size
        _check_bytes(image, coefficients, bounds)
        image.decodermaxblock = BLOCK_BYTES
        image.load()
    except (Problem, ClientGone, MemoryError):
        raise
    except Exception:  # Pillow's parsers raise many types
        raise Problem(
            422, f"The body is not a {file_format} that can be decoded. Send it whole and unaltered."
        ) from None
    return image


def _check_shape(image: "Image.Image", bounds: Bounds) -> None:
    size, sides = f"The image is {image.width} x {image.height}", sorted(image.size)
    if image.width * image.height > bounds.pixels:
        rule = f"up to {bounds.pixels} pixels are decoded (MAX_IMAGE_PIXELS)"
        raise Problem(422, f"{size}; {rule}. Send a smaller one.")
    if sides[1] > MAX_ASPECT * sides[0]:
        raise Problem(422, f"{size}; a side may be up to {MAX_ASPECT} times the other. Cut it to the digit.")


def _check_bytes(image: "Image.Image", coefficients: int, bounds: Bounds) -> None:
    size = coefficients + image.width * image.height * MODE_BYTES.get(image.mode, 4)
    if size > bounds.decoded_bytes:
        rule = f"{size} bytes to decode, and up to {bounds.decoded_bytes} fit into the memory limit"
        raise Problem(422, f"The image takes {rule}. Send a smaller one, or a JPEG that is not progressive.")


def _coefficient_bytes(image: "JpegImageFile", interleaved: int) -> int:
    """Return the bytes that libjpeg keeps until the last scan; none if the first scan holds the whole picture."""
    if interleaved == len(image.layer) and not image.info.get("progressive"):
        return 0
    sampling = [vertical * horizontal for _, vertical, horizontal, _ in image.layer]
    return COEFFICIENT_BYTES * image.width * image.height * sum(sampling) // max(sampling)


def _layers(strip: "Image.Image") -> list["Image.Image"]:
    """Return the grey of a strip; of one with transparency the grey on black, and how opaque it is."""
    from PIL import Image, ImageChops

    if strip.mode.startswith("I;16"):  # Pillow's own conversion would cut off everything above 255
        deep = np.asarray(strip)
        grey = Image.fromarray((deep >> 8).astype(np.uint8))
        if (transparent := strip.info.get("transparency")) is None:
            return [grey]
        opaque = Image.fromarray(np.where(deep == transparent, 0, 255).astype(np.uint8))
    elif strip.has_transparency_data:
        strip = strip.convert("RGBA")
        grey, opaque = strip.convert("L"), strip.getchannel("A")
    else:
        return [strip.convert("L")]
    return [ImageChops.multiply(grey, opaque), opaque]


def _on_backdrop(grey: np.ndarray, opaque: np.ndarray | None = None) -> np.ndarray:
    """Return a picture with transparency on white, or on black if it would hardly stand out from white."""
    if opaque is None:
        return grey
    on_white = grey + ~opaque  # at most 255: grey is no lighter than it is opaque
    return grey if 2 * (255 - int(on_white.min())) < int(grey.max()) else on_white
