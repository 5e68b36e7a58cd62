"""A Forest gives the probabilities of scikit-learn, bit for bit."""

import io
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from apps.classifier.artifact.loading import load
from apps.classifier.forest import Forest
from apps.classifier.tests import forests

MODELS = {
    "RandomForestClassifier": lambda depth, seed: RandomForestClassifier(9, max_depth=depth, random_state=seed),
    "one tree": lambda depth, seed: RandomForestClassifier(1, max_depth=depth, random_state=seed),
    "ExtraTreesClassifier": lambda depth, seed: ExtraTreesClassifier(9, max_depth=depth, random_state=seed),
    "DecisionTreeClassifier": lambda depth, seed: DecisionTreeClassifier(max_depth=depth, random_state=seed),
}
LABELS = {
    "integers": lambda y: y * 3 - 4,
    "bytes": lambda y: y.astype(np.uint8),
    "text": lambda y: y.astype(str),
    "objects": lambda y: y.astype(str).astype(object),
    "booleans": lambda y: y % 2 == 0,
}


def near_thresholds(model: Forest, count: int, seed: int) -> np.ndarray:
    """Return rows whose values are thresholds as float32, which reveal a wrong precision or a wrong comparison."""
    random = np.random.default_rng(seed)
    inner = np.isfinite(model.threshold)
    known = model.threshold[inner] if inner.any() else np.zeros(1)
    rows = random.choice(known, (count, model.n_features)).astype(np.float32)
    return np.nextafter(
        rows, random.choice([-1, 1], rows.shape).astype(np.float32), where=random.random(rows.shape) < 0.3, out=rows
    )


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(MODELS)),
    labels=st.sampled_from(sorted(LABELS)),
    depth=st.sampled_from([1, 3, 8, None]),
    n_features=st.integers(1, 12),
    n_classes=st.integers(1, 6),
    rows=st.sampled_from([1, 2, 63, 64, 65, 150]),
    seed=st.integers(0, 2**31 - 1),
    protocol=st.integers(3, 5),
)
def test_probabilities_equal_scikit_learns_bit_for_bit(
    name, labels, depth, n_features, n_classes, rows, seed, protocol, tmp_path_factory
):
    random = np.random.default_rng(seed)
    x = random.integers(0, 256, (120, n_features)).astype(np.float32) / 255
    y = LABELS[labels](random.integers(0, n_classes, 120))
    model = MODELS[name](depth, seed).fit(x, y)
    path = tmp_path_factory.mktemp("forest") / "model.joblib"
    joblib.dump(model, path, protocol=protocol)
    flat = load(path)
    inputs = near_thresholds(flat, rows, seed)
    assert flat.classes == tuple(str(label) for label in model.classes_)
    assert np.array_equal(flat.evaluate(inputs), model.predict_proba(inputs))


def test_the_answer_of_one_row_is_its_answer_in_a_batch(digits, artifact):
    flat, rows = load(artifact), forests.unit(forests.images(130, seed=5))
    batch = flat.evaluate(rows)
    assert np.array_equal(batch, digits.predict_proba(rows))
    assert all(np.array_equal(flat.evaluate(rows[i : i + 1])[0], batch[i]) for i in range(130))


def test_a_forest_of_unlimited_depth_is_exact(tmp_path):
    model = forests.digits_forest(trees=30, depth=None, max_features=3)
    joblib.dump(model, tmp_path / "deep.joblib")
    flat, rows = load(tmp_path / "deep.joblib"), forests.unit(forests.images(400, seed=6))
    assert flat.depth == max(tree.get_depth() for tree in model.estimators_)
    assert np.array_equal(flat.evaluate(rows), model.predict_proba(rows))


@pytest.mark.parametrize("compress", [("zlib", 3), ("gzip", 1), ("bz2", 1), ("xz", 1), ("lzma", 1)])
def test_compressed_files_are_read_the_same(digits, tmp_path, compress):
    joblib.dump(digits, tmp_path / "small.joblib", compress=compress)
    rows = forests.unit(forests.images(5, seed=7))
    assert np.array_equal(load(tmp_path / "small.joblib").evaluate(rows), digits.predict_proba(rows))


def test_a_model_with_numpy_integers_and_further_options_is_read(tmp_path):
    model = forests.digits_forest(class_weight={label: 1.0 + label for label in range(10)}, ccp_alpha=1e-4)
    joblib.dump(model, tmp_path / "weighted.joblib")
    rows = forests.unit(forests.images(20, seed=8))
    assert np.array_equal(load(tmp_path / "weighted.joblib").evaluate(rows), model.predict_proba(rows))


@pytest.mark.parametrize("seed", [3, None], ids=["seeded", "from the system"])
def test_a_forest_that_keeps_its_random_state_is_read(seed, tmp_path):
    model = forests.digits_forest(trees=2, random_state=np.random.RandomState(seed))
    joblib.dump(model, tmp_path / "f.joblib")
    rows = forests.unit(forests.images(5))
    assert np.array_equal(load(tmp_path / "f.joblib").evaluate(rows), model.predict_proba(rows))


def test_big_endian_arrays_are_read(digits, tmp_path):
    rows = forests.unit(forests.images(5, seed=7))
    expected = digits.predict_proba(rows)
    model = joblib.load(saved(digits, tmp_path))
    model.classes_ = model.classes_.astype(">i8")
    assert load(saved(model, tmp_path)).classes == tuple("0123456789")
    assert np.array_equal(load(saved(model, tmp_path)).evaluate(rows), expected)


def saved(model, folder: Path) -> Path:
    path = folder / "saved.joblib"
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    path.write_bytes(buffer.getvalue())
    return path


def test_rows_of_another_precision_or_width_raise_value_error(artifact):
    flat = load(artifact)
    for rows in (np.zeros((1, 784)), np.zeros((1, 783), np.float32), np.zeros(784, np.float32)):
        with pytest.raises(ValueError, match="float32"):
            flat.evaluate(rows)
    assert flat.evaluate(np.zeros((0, 784), np.float32)).shape == (0, 10)
