"""From a picture of any size to what the model knows: 28 x 28, light on dark, centred as MNIST's authors did it.

Pillow is imported with the first picture: a start does not pay for it.
"""

from collections.abc import Callable

import numpy as np

from apps.classifier.pictures.decoding import Bounds, decoded
from apps.serving.problems import Problem

SIDE, BOX = 28, 20  # of the model's image, and of the box in it that a digit fills
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
CONTRAST = 16  # of 255; below it nothing can be told from the background
INK = 0.1  # of the strongest: what is weaker is noise of a camera or of JPEG


def read(content: bytes, media_type: str, bounds: Bounds, cancelled: Callable[[], bool]) -> np.ndarray:
    """Return a picture of one of FORMATS as uint8 (28, 28), 0 the background.

    Raises Problem 422, and ClientGone soon after `cancelled()` has become true.
    """
    ink = _ink(decoded(content, FORMATS[media_type], bounds, cancelled).astype(np.float32))
    rows, columns = (np.flatnonzero((ink > INK * ink.max()).any(axis=axis)) for axis in (1, 0))
    return _centred(_fitted(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))


def _ink(grey: np.ndarray) -> np.ndarray:
    """Return how far each pixel is from the background, which is what most of the border shows."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(border))
    ink = (background - grey if background > 127 else grey - background).clip(min=0)
    if ink.max() < CONTRAST:
        raise Problem(422, "The image is blank: nothing in it stands out from its border. Send a digit.")
    return ink


def _fitted(ink: np.ndarray) -> np.ndarray:
    """Scale to the box, keeping the proportions, with the strongest ink at 255."""
    from PIL import Image

    height, width = ink.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS))
    return (scaled * (255 / max(scaled.max(), 1))).clip(0, 255)


def _centred(ink: np.ndarray) -> np.ndarray:
    """Put the centre of mass at (14, 14), counted from 0, where MNIST has it, as far as the digit stays inside."""
    total, frame = ink.sum(), np.zeros((SIDE, SIDE), np.uint8)
    middles = [(ink.sum(axis=1 - axis) @ np.arange(ink.shape[axis])) / total for axis in (0, 1)]
    top, left = (
        int(np.clip(round(SIDE / 2 - middle), 0, SIDE - length))
        for middle, length in zip(middles, ink.shape, strict=True)
    )
    frame[top : top + ink.shape[0], left : left + ink.shape[1]] = ink.round()
    return frame
