"""Exactness over all 70,000 images of MNIST, for forests from one shallow tree to 300 of unlimited depth."""

import copy
import os
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from apps.classifier.artifact import loading

pytestmark = pytest.mark.full
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "inference-service/mnist/mnist.npz")
TRAINED = 10_000  # images; more make the forests larger and the test no sharper


@pytest.fixture(scope="module")
def mnist() -> tuple[np.ndarray, np.ndarray]:
    """All images as features, and their labels."""
    assert CACHE.exists(), f"{CACHE} is missing. Make it with: python -m training data"
    with np.load(CACHE) as content:
        return content["images"].astype(np.float32) / 255, content["labels"]


@pytest.fixture(scope="module", params=[5, 12, None], ids=["depth 5", "depth 12", "unlimited depth"])
def grown(request, mnist) -> RandomForestClassifier:
    """300 trees of one depth."""
    model = RandomForestClassifier(300, max_depth=request.param, random_state=42, n_jobs=-1)
    return model.fit(mnist[0][:TRAINED], mnist[1][:TRAINED]).set_params(n_jobs=1)


@pytest.mark.parametrize("trees", [1, 100, 300])
def test_every_image_gets_scikit_learns_probabilities_to_the_last_bit(grown, mnist, trees, tmp_path):
    model = copy.copy(grown).set_params(n_estimators=trees)
    model.estimators_ = grown.estimators_[:trees]
    joblib.dump(model, tmp_path / "forest.joblib")
    flat = loading.load(tmp_path / "forest.joblib")
    for part in np.array_split(mnist[0], 14):
        assert np.array_equal(flat.evaluate(part), model.predict_proba(part))
