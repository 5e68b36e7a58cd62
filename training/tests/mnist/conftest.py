"""The small digits as the four IDX files of MNIST."""

import numpy as np
import pytest

from training.mnist import idx


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def files(digits) -> dict[str, bytes]:
    """The four files of a small data set: 1,000 images to train and 797 to test."""
    images, labels = digits[0].reshape(-1, 8, 8), digits[1]
    parts = (images[:1000], labels[:1000], images[1000:], labels[1000:])
    return {name: idx_bytes(part) for name, part in zip(idx.FILES, parts, strict=True)}
