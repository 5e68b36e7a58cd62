"""1,500 digits that a forest was not trained on get the label of their features, also as pictures and photographs."""

from collections.abc import Callable

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import RandomForestClassifier

from apps.classifier.artifact.loading import load
from apps.classifier.forest import Forest
from apps.classifier.tests.api.test_picture import lit, noisy, sixteen_bits
from apps.classifier.tests.pictures.pictures import read_picture
from apps.classifier.tests.test_forest_all_images import CACHE

pytestmark = pytest.mark.full
TRAINED, HELD_OUT = 10_000, 1500
SIDE = 280


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """The held-out images, uint8 (1500, 28, 28), 0 being the background."""
    assert CACHE.exists(), f"{CACHE} is missing. Make it with: python -m training data"
    with np.load(CACHE) as content:
        return content["images"][TRAINED : TRAINED + HELD_OUT].reshape(-1, 28, 28)


@pytest.fixture(scope="module")
def forest(tmp_path_factory) -> Forest:
    path = tmp_path_factory.mktemp("forest") / "forest.joblib"
    with np.load(CACHE) as content:
        pixels, labels = content["images"][:TRAINED].astype(np.float32) / 255, content["labels"][:TRAINED]
    joblib.dump(RandomForestClassifier(100, max_depth=10, random_state=42, n_jobs=-1).fit(pixels, labels), path)
    return load(path)


def labels(forest: Forest, images: list[np.ndarray] | np.ndarray) -> np.ndarray:
    rows = np.stack(list(images)).reshape(len(images), -1).astype(np.float32) / 255
    return forest.evaluate(rows).argmax(axis=1)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_digit_as_a_picture_gets_the_label_of_its_features(digits, forest, inverted):
    pictures = [Image.fromarray(digit if inverted else 255 - digit) for digit in digits]
    read = [read_picture(picture) for picture in pictures]
    assert np.mean(labels(forest, read) == labels(forest, digits)) >= 0.999


def alpha(picture: Image.Image) -> Image.Image:
    """Return white ink on transparency for black ink on white."""
    return Image.merge("LA", (Image.new("L", picture.size, 255), picture.point(lambda grey: 255 - grey)))


# How a clean drawing becomes a photograph, and the share of labels that it keeps.
PHOTOGRAPHS: dict[str, tuple[Callable[[Image.Image], Image.Image], float]] = {
    "16 bits": (sixteen_bits, 1),
    "white ink on transparency": (alpha, 1),
    "light from the left": (lambda picture: lit(picture, "from the left"), 0.98),
    "light from the middle": (lambda picture: lit(picture, "from the middle"), 0.98),
    "noise of 4": (lambda picture: noisy(picture, 4), 0.98),
    "noise of 6": (lambda picture: noisy(picture, 6), 0.98),
    "uneven light and noise": (lambda picture: noisy(lit(picture, "from the middle"), 6), 0.98),
}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_gets_the_label_of_the_clean_drawing(digits, forest, name):
    photographed, share = PHOTOGRAPHS[name]
    large = [Image.fromarray(255 - digit).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for digit in digits]
    clean = labels(forest, [read_picture(picture) for picture in large])
    assert np.mean(labels(forest, [read_picture(photographed(picture)) for picture in large]) == clean) >= share
