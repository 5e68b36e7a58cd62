"""Reads images and labels from a folder: four IDX files, MNIST's format, plain or gzipped; or one .npz."""

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
UINT8 = 0x08  # code of the type in the header
Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def from_folder(folder: Path) -> Arrays:
    """Return images uint8 (n, features) and labels uint8 (n,): training images first, then test images."""
    archives = sorted(folder.glob("*.npz"))
    if archives:
        return _from_npz(archives[0])
    missing = [name for name in FILES if not (folder / name).exists() and not (folder / f"{name}.gz").exists()]
    if missing:
        raise TrainingError(
            f"'{folder}' has no .npz file and lacks {', '.join(missing)} (each may end in .gz). "
            "Give a folder that holds the four files, or an .npz with images and labels."
        )
    return join(lambda name: _content(folder / name))


def join(content: Callable[[str], bytes]) -> Arrays:
    """Return the images and labels of all four files; `content` returns the bytes of the file with a given name."""
    parts = [parse(content(name), name) for name in FILES]
    images = [part.reshape(len(part), -1) for part in parts[::2]]
    if images[0].shape[1] != images[1].shape[1]:
        raise TrainingError(f"training images have {images[0].shape[1]} pixels and test images {images[1].shape[1]}.")
    return _checked(np.concatenate(images), np.concatenate(parts[1::2]), "the IDX files")


def parse(content: bytes, name: str) -> NDArray[np.uint8]:
    """Return the array in an IDX file: two zero bytes, type, number of dimensions, their sizes, values.

    Raises TrainingError that begins with `name` if it is damaged.
    """
    if len(content) < 4 or content[:3] != bytes([0, 0, UINT8]):
        raise TrainingError(f"{name} is not an IDX file of unsigned bytes: it begins with {content[:4].hex(' ')}.")
    header = 4 + 4 * content[3]
    shape = [int.from_bytes(content[offset : offset + 4]) for offset in range(4, header, 4)]
    if len(content) != header + math.prod(shape):
        raise TrainingError(f"{name} is cut off or too long: {len(content)} bytes for {header} + values {shape}.")
    return np.frombuffer(content[header:], dtype=np.uint8).reshape(shape)


def _content(path: Path) -> bytes:
    if path.exists():
        return path.read_bytes()
    try:
        return gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TrainingError(f"'{path}.gz' is damaged or cut off ({error}). Download it again.") from error


def _from_npz(path: Path) -> Arrays:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TrainingError(f"'{path}' is not an .npz with `images` and `labels` ({error}). Remove it.") from error
    return _checked(images.reshape(len(images), -1), labels, f"'{path}'")


def _checked(images: NDArray[np.uint8], labels: NDArray[np.uint8], source: str) -> Arrays:
    if images.dtype != np.uint8 or labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise TrainingError(
            f"{source}: images are {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}. "
            "Both must be uint8 (pixels 0 to 255), one label for each image."
        )
    return images, labels
