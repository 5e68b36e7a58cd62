"""Turns a picture of any size into an image like those of MNIST: 28 x 28, light on dark, centred.

Pillow is imported with the first picture, so that it adds nothing to the start-up time.
"""

from collections.abc import Callable

import numpy as np

from apps.classifier.pictures import background
from apps.classifier.pictures.decoding import Bounds, decoded

SIDE, BOX = 28, 20  # pixels of the image, and of the box in it that the digit fills
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}


def read(content: bytes | bytearray, media_type: str, bounds: Bounds, cancelled: Callable[[], bool]) -> np.ndarray:
    """Return a picture of a type in FORMATS as uint8 (28, 28), where 0 is the background.

    Raises Problem 422 for a picture that is broken, blank or beyond `bounds`, and ClientGone soon after `cancelled()`
    is true.
    """
    ink, mask = background.ink(decoded(content, FORMATS[media_type], bounds, cancelled))
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return _centred(_fitted(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))


def _fitted(ink: np.ndarray) -> np.ndarray:
    """Scale the digit to fill the box, keeping its proportions, with the strongest ink at 255."""
    from PIL import Image

    height, width = ink.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS))
    stretched: np.ndarray = np.clip(scaled * (255 / max(scaled.max(), 1)), 0, 255)
    return stretched


def _centred(ink: np.ndarray) -> np.ndarray:
    """Return uint8 (28, 28) with the centre of mass at (14, 14), as in MNIST, or as near as the digit fits."""
    total, frame = ink.sum(), np.zeros((SIDE, SIDE), np.uint8)
    middles = [(ink.sum(axis=1 - axis) @ np.arange(ink.shape[axis])) / total for axis in (0, 1)]
    top, left = (
        int(np.clip(round(SIDE / 2 - middle), 0, SIDE - length))
        for middle, length in zip(middles, ink.shape, strict=True)
    )
    frame[top : top + ink.shape[0], left : left + ink.shape[1]] = ink.round()
    return frame
