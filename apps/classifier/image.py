"""From a picture of any size to what the model knows: 28 x 28, light on dark, centred as MNIST's authors did it.

Pillow is imported with the first picture: a start does not pay for it.
"""

import io

import numpy as np

from apps.serving.problems import Problem

SIDE, BOX = 28, 20  # of the model's image, and of the box in it that a digit fills
MAX_PIXELS = 50_000_000
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
CONTRAST = 16  # of 255; below it nothing can be told from the background
INK = 0.1  # of the strongest: what is weaker is noise of a camera or of JPEG


def read(content: bytes, media_type: str) -> np.ndarray:
    """Return a PNG or JPEG as uint8 (28, 28), 0 the background. Raises Problem 415 or 422."""
    if media_type not in FORMATS:
        raise Problem(415, f"Content-Type {media_type[:80]!r} is not read here. Send {' or '.join(FORMATS)}.")
    ink = _ink(_grey(content, FORMATS[media_type]))
    rows, columns = (np.flatnonzero((ink > INK * ink.max()).any(axis=axis)) for axis in (1, 0))
    return _centred(_fitted(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))


def _grey(content: bytes, kind: str) -> np.ndarray:
    """Decode to float32 (height, width), 0 to 255; what is transparent becomes white."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # the check below is stricter, and says the rule
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width} x {image.height}"
                raise Problem(422, f"The image is {size}; up to {MAX_PIXELS} pixels are decoded. Send a smaller one.")
            image.draft("L", (1000, 1000))  # a JPEG is decoded at a fraction of its size
            image = ImageOps.exif_transpose(image)
            if image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            return np.asarray(image.convert("L"), np.float32)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise Problem(422, f"The body is not a {kind} that can be decoded. Send it whole and unaltered.") from None


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
