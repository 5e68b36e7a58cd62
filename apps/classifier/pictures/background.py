"""Tells ink from paper, also where the light is uneven and the camera's sensor adds noise."""

from math import log, sqrt
from typing import Any

import numpy as np

from apps.serving.problems import Problem

MIN_CONTRAST = 16  # of 255; a picture with less is blank
EVEN = 6  # of 255; if the paper differs by less from side to side, its light is even
MAX_FALL_OFF = 64  # of 255, between the median of the border and paper in less light
MIN_PAPER = 0.6  # of the border; with less, the light cannot be told from ink
MIN_INK = 0.1  # of the strongest ink; anything weaker is noise of JPEG
LARGE = 4000  # pixels of ink, where the digit is much larger than the 20 pixels that it is scaled to
ROUNDING, MAX_DEVIATION = 1, 16  # of 255, between which a deviation is a sensor's
QUARTILE = 0.6745  # of the normal distribution, in standard deviations


def ink(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's distance from the paper, float32 0 to 255, 0 where it is noise, and which pixels are ink.

    `grey` is uint8 (height, width). Raises Problem 422 for a blank picture.
    """
    y, x, border = _border(grey)
    level = float(np.median(border))
    surface = _fitted(y, x, border, level)
    distance = grey.astype(np.float32)
    distance -= np.float32(level) if surface is None else _lightness(surface, grey.shape)
    paper = level if surface is None else _terms(y, x) @ surface
    residual = border - paper
    if -distance.min() > distance.max():  # dark ink
        np.negative(distance, out=distance)
        np.negative(residual, out=residual)
    deviation = _deviation(residual)
    if distance.max() < max(MIN_CONTRAST, _noise(deviation, grey.size)):
        raise Problem(422, "The image is blank: nothing in it stands out from its border. Send a digit.")
    np.maximum(distance, 0, out=distance)
    signal = distance
    if deviation:
        signal = _smoothed(distance, deviation)
        distance *= signal > 0
    mask = signal >= MIN_INK * signal.max()
    if surface is not None:
        _even_out(distance, level, surface)
    return distance, mask


def _border(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the border's pixels, float32, with their places: y and x from -1 to 1."""
    rows, columns = _axis(grey.shape[0]), _axis(grey.shape[1])
    sides: list[tuple[Any, Any, np.ndarray]] = [
        (-1, columns, grey[0]),
        (1, columns, grey[-1]),
        (rows, -1, grey[:, 0]),
        (rows, 1, grey[:, -1]),
    ]
    places = [np.broadcast_arrays(y, x, values) for y, x, values in sides]
    y, x, values = (np.concatenate(part).astype(np.float32) for part in zip(*places, strict=True))
    return y, x, values


def _axis(length: int) -> np.ndarray:
    return np.linspace(-1, 1, length, dtype=np.float32)


def _terms(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(x), y, x, y * y, x * x, y * x], axis=1)


def _fitted(y: np.ndarray, x: np.ndarray, border: np.ndarray, level: float) -> np.ndarray | None:
    """Return the paper's lightness as the six coefficients of `_terms`; None where the light is even.

    Least squares over the border, without its ink. Light falls off about quadratically from a lamp or in a lens.
    """
    terms, paper = _terms(y, x), np.abs(border - level) <= MAX_FALL_OFF
    for _ in range(3):
        if np.count_nonzero(paper) < MIN_PAPER * border.size:
            return None
        surface = np.linalg.lstsq(terms[paper], border[paper])[0]
        residual = np.abs(border - terms @ surface)
        paper = residual <= max(EVEN, 3 * float(np.quantile(residual, 0.5)) / QUARTILE)
    shades = terms @ surface
    return surface if shades.max() - shades.min() > EVEN else None


def _lightness(surface: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the paper's lightness at each pixel, float32 (height, width)."""
    rows, columns = _axis(shape[0])[:, None], _axis(shape[1])[None, :]
    constant, y, x, yy, xx, yx = surface
    lightness: np.ndarray = (yx * rows) * columns
    lightness += constant + y * rows + yy * rows * rows
    lightness += x * columns + xx * columns * columns
    return lightness


def _even_out(ink: np.ndarray, level: float, surface: np.ndarray) -> None:
    """Scale ink to what it is in the light of `level`: it reflects the same share of any light."""
    share = _lightness(surface, ink.shape)
    np.divide(np.float32(level), np.maximum(share, MIN_CONTRAST, out=share), out=share)
    ink *= share


def _deviation(residual: np.ndarray) -> float:
    """Return the standard deviation of the paper's noise; 0 where there is hardly any, or the border is no paper.

    `residual` is how much the border differs from the paper in the direction of ink. The median of the positive ones
    ignores some ink on the border, and that the noise of white paper is cut off on the other side.
    """
    positive = residual[residual > 0]
    if positive.size < residual.size / 4:
        return 0.0
    deviation = float(np.median(positive)) / QUARTILE
    return deviation if ROUNDING < deviation < MAX_DEVIATION else 0.0


def _noise(deviation: float, pixels: int) -> float:
    """Return what none of that many pixels of paper exceeds by noise, almost surely."""
    return deviation * (sqrt(2 * log(pixels)) + 1)


def _smoothed(distance: np.ndarray, deviation: float) -> np.ndarray:
    """Return `distance`, 0 where it is noise; of a large digit the mean of 3 x 3 pixels, with less noise."""
    noise = _noise(deviation, distance.size)
    if np.count_nonzero(distance >= noise) > LARGE:
        signal, noise = _mean_of_rows(_mean_of_rows(distance).T).T, noise / 3
    else:
        signal = distance.copy()
    signal[signal < noise] = 0
    return signal


def _mean_of_rows(values: np.ndarray) -> np.ndarray:
    """Return the mean of each row and its neighbours; the first and the last are 0."""
    mean = np.zeros_like(values)
    for rows in (values[:-2], values[1:-1], values[2:]):
        mean[1:-1] += rows
    mean /= 3
    return mean
