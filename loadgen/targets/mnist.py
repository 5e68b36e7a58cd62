"""Reads the MNIST images that `python -m training data` has written to the cache."""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REMEDY = "Run `python -m training data`"


class DatasetError(Exception):
    """The cached data set is missing or damaged; the text includes the remedy."""


@dataclass(frozen=True)
class Mnist:
    """`images` uint8 (n, 784), 0 (paper) to 255 (ink), in dataset order; `labels` uint8 (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def cache_path() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "inference-service" / "mnist" / "mnist.npz"


def load(path: Path | None = None) -> Mnist:
    path = path or cache_path()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            mnist = Mnist(arrays["images"], arrays["labels"])
    except FileNotFoundError:
        raise DatasetError(f"There is no MNIST cache at {path}. {REMEDY}.") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} cannot be read ({error}). Remove it, then: {REMEDY}.") from None
    if mnist.images.ndim != 2 or mnist.images.shape != (len(mnist), 784) or mnist.images.dtype != np.uint8:
        raise DatasetError(
            f"{path} has images {mnist.images.dtype} {mnist.images.shape} for {len(mnist)} labels; "
            f"they must be uint8 (n, 784), one for each label. Remove it, then: {REMEDY}."
        )
    return mnist


def spread(total: int, size: int) -> list[int]:
    """Return `size` evenly spaced indices below `total`; for equal arguments always the same ones."""
    return [number * total // size for number in range(size)]
