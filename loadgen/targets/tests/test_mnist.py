"""The images that are sent: read from training's cache, evenly spaced in it, with exact values in the request."""

import numpy as np
import pytest

from loadgen.targets.classifier import INTENSITIES
from loadgen.targets.mnist import DatasetError, load, spread


def test_indices_are_evenly_spaced_over_the_whole_dataset():
    assert spread(70_000, 4) == [0, 17_500, 35_000, 52_500]
    assert spread(5, 5) == [0, 1, 2, 3, 4]
    assert len(set(spread(70_000, 2000))) == 2000


def test_every_intensity_parses_to_the_float32_that_training_uses():
    sent = np.array([float(text) for text in INTENSITIES]).astype(np.float32)
    assert (sent == np.arange(256, dtype=np.float32) / np.float32(255)).all()


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((3, 784), np.float32), "labels": np.zeros(3, np.uint8)},
        {"images": np.zeros((3, 28, 28), np.uint8), "labels": np.zeros(3, np.uint8)},
        {"images": np.zeros((3, 784), np.uint8), "labels": np.zeros(4, np.uint8)},
        {"images": np.zeros((3, 784), np.uint8)},
    ],
)
def test_cache_with_another_shape_is_refused_with_the_remedy(mnist_cache, arrays):
    np.savez(mnist_cache, **arrays)
    with pytest.raises(DatasetError, match=r"Remove it, then: Run `python -m training data`\.$"):
        load()
