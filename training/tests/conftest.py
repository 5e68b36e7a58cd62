"""Small data for training: scikit-learn's 1,797 digits of 8 x 8 pixels, as an .npz like MNIST's."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (1797, 64), 0 to 240, and labels uint8 (1797,)."""
    from sklearn.datasets import load_digits  # takes seconds, which tests of language models save

    images, labels = load_digits(return_X_y=True)
    return (images * 15).astype(np.uint8), labels.astype(np.uint8)


@pytest.fixture
def data_dir(tmp_path, digits):
    """A folder for --data-dir, with an .npz."""
    folder = tmp_path / "small-digits"
    folder.mkdir()
    np.savez(folder / "digits.npz", images=digits[0], labels=digits[1])
    return folder
