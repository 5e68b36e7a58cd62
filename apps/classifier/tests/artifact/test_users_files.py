"""Forests as users save them are read, or refused with a remedy that works."""

import datetime
import io
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from apps.classifier.artifact import loading
from apps.classifier.artifact.loading import ForestError, load

FLOWERS, SPECIES = load_iris(return_X_y=True)
ROWS = FLOWERS.astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> RandomForestClassifier:
    return RandomForestClassifier(5, max_depth=4, random_state=0).fit(ROWS, SPECIES)


def memory_mapped(model, folder: Path):
    joblib.dump(model, folder / "plain.joblib")
    return joblib.load(folder / "plain.joblib", mmap_mode="r")


def dumped(model, **options) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model, buffer, **options)
    return buffer.getvalue()


def pickled(model, _: Path, protocol: int) -> bytes:
    return pickle.dumps(model, protocol)


def saved(model, _: Path, protocol: int) -> bytes:
    return dumped(model, protocol=protocol)


WAYS: dict[str, Callable[[Any, Path], bytes]] = {
    **{f"pickle, protocol {n}": partial(pickled, protocol=n) for n in range(2, 6)},
    **{f"joblib, protocol {n}": partial(saved, protocol=n) for n in range(2, 6)},
    "cloudpickle": lambda model, _: cloudpickle.dumps(model),
    "arrays that are mapped from a file": lambda model, folder: dumped(memory_mapped(model, folder)),
    "the same by pickle": lambda model, folder: pickle.dumps(memory_mapped(model, folder)),
    "gzip": lambda model, _: dumped(model, compress=("gzip", 3)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_forest_is_read_however_it_was_saved(way, fitted, tmp_path):
    flat = load("model", WAYS[way](fitted, tmp_path))
    assert np.array_equal(flat.evaluate(ROWS), fitted.predict_proba(ROWS))


@pytest.mark.parametrize("protocol", [0, 1])
def test_a_pickle_of_protocol_0_or_1_is_refused_with_the_remedy(protocol, fitted):
    with pytest.raises(ForestError, match=r"protocol 0 or 1\. Load it where it was made, and joblib.dump it again"):
        load("model", pickle.dumps(fitted, protocol))


MAGICS = {"lz4": b"\x04\x22\x4d\x18", "zstd": b"\x28\xb5\x2f\xfd", "zip": b"PK\3\4"}


@pytest.mark.parametrize("name", MAGICS)
def test_a_compression_that_is_not_read_is_named(name):
    with pytest.raises(ForestError, match=f"{name}.*joblib.dump it without `compress`"):
        load("model", MAGICS[name] + bytes(100))


OWN: dict[str, dict[str, Any]] = {
    "texts and numbers": {"author": "A. Nother", "accuracy": 0.97, "folds": 5, "ok": True, "none": None},
    "containers": {"columns": ["a", "b"], "shape": (150, 4), "by_name": {"a": 1}, "seen": {"x", "y"}},
    "numpy": {"mean": np.float64(0.5), "importances": np.ones(4), "labels": np.array(["x", None], object)},
    "bytes": {"digest": b"\0\1\2" * 100, "buffer": bytearray(b"abc")},
    "dates": {"trained": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "day": datetime.date(2026, 1, 2)},
}


@pytest.mark.parametrize("way", ["joblib, protocol 4", "pickle, protocol 2", "pickle, protocol 5", "cloudpickle"])
@pytest.mark.parametrize("name", OWN)
def test_attributes_of_the_users_own_are_read(name, way, fitted, tmp_path):
    model = RandomForestClassifier(2, random_state=0).fit(ROWS, SPECIES)
    vars(model).update(OWN[name])
    assert np.array_equal(load("model", WAYS[way](model, tmp_path)).evaluate(ROWS), model.predict_proba(ROWS))


@pytest.mark.parametrize("value", [StandardScaler(), [StandardScaler()], {"a": StandardScaler()}, Path("x")])
@pytest.mark.parametrize("way", ["joblib, protocol 4", "pickle, protocol 2", "pickle, protocol 5"])
def test_an_attribute_that_is_not_read_is_named_with_a_remedy_that_works(way, value, tmp_path):
    model = RandomForestClassifier(2, random_state=0).fit(ROWS, SPECIES)
    model.accuracy, model.scaler = 0.9, value
    with pytest.raises(ForestError, match=r"attribute 'scaler' names .*`del model.scaler`, and joblib.dump it again"):
        load("model", WAYS[way](model, tmp_path))
    del model.scaler
    assert load("model", dumped(model)).n_features == 4


REFUSED: dict[str, tuple[Any, str]] = {
    "a forest that is not fitted": (
        RandomForestClassifier(),
        "RandomForestClassifier that is not fitted. Call its fit",
    ),
    "a tree that is not fitted": (DecisionTreeRegressor(), "DecisionTreeRegressor that is not fitted. Call its fit"),
    "a pipeline": (make_pipeline(StandardScaler(), RandomForestClassifier()), "names 'sklearn.pipeline.Pipeline'"),
    "several outputs": (
        RandomForestClassifier(2).fit(ROWS, np.column_stack([SPECIES, SPECIES])),
        "predicts 2 outputs at once. Train a classifier for each of them",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_is_not_served_is_refused_in_one_line(name):
    model, reason = REFUSED[name]
    with pytest.raises(ForestError, match=reason) as error:
        load("model", dumped(model))
    assert "\n" not in str(error.value)


LABELS: dict[str, tuple[np.ndarray, str]] = {
    "numpy's texts": (np.array([np.str_(name) for name in ("setosa", "versicolor", "virginica")], object), "setosa"),
    "texts": (np.array(["setosa", "versicolor", "virginica"], object), "setosa"),
    "numpy's integers": (np.array([np.int64(n) for n in (3, 4, 5)], object), "3"),
    "halves": (np.array([0.5, 1.5, 2.5]), "0.5"),
}


@pytest.mark.parametrize("way", ["joblib, protocol 4", "pickle, protocol 2", "pickle, protocol 5"])
@pytest.mark.parametrize("name", LABELS)
def test_labels_are_texts_whatever_array_held_them(name, way, tmp_path):
    names, first = LABELS[name]
    model = RandomForestClassifier(2, random_state=0).fit(ROWS, SPECIES)
    model.classes_ = names
    classes = load("model", WAYS[way](model, tmp_path)).classes
    assert classes == tuple(str(label) for label in names) and classes[0] == first


WRONG_LABELS: dict[str, tuple[list, str]] = {
    "half of a surrogate pair": (["\ud800", "b", "c"], r"'\\ud800'"),
    "infinity": ([0.0, 1.0, np.inf], "inf"),
    "nothing": ([None, "b", "c"], "None"),
    "bytes": ([b"a", b"b", b"c"], "b'a'"),
    "tuples": ([("a",), ("b",), ("c",)], "a tuple"),
    "dates": ([datetime.date(2026, 1, day) for day in (1, 2, 3)], "a date"),
    "the same text twice": ([1, "1", 2], "the same name"),
}


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_a_label_that_a_manifest_cannot_hold_is_refused(name):
    labels, reason = WRONG_LABELS[name]
    model = RandomForestClassifier(2, random_state=0).fit(ROWS, SPECIES)
    model.classes_ = np.empty(3, object)
    model.classes_[:] = labels
    with pytest.raises(ForestError, match=f"{reason}.*Train it with labels"):
        load("model", dumped(model))


def as_version_1_3_saves(model):
    """Turn the fractions in the nodes into the weights that scikit-learn up to 1.3 keeps in their place."""
    for tree in model.estimators_:
        state = tree.tree_.__getstate__()
        weights = state["nodes"]["weighted_n_node_samples"]
        state["values"] = np.round(state["values"] * weights[:, None, None], 9)
        tree.tree_.__setstate__(state)
    return model


def test_weights_in_the_leaves_become_the_probabilities_of_scikit_learn_1_3():
    model = as_version_1_3_saves(RandomForestClassifier(7, max_depth=3, random_state=0).fit(ROWS, SPECIES))
    expected = np.zeros((len(ROWS), 3))
    for tree in model.estimators_:
        weights = tree.tree_.predict(ROWS)
        expected += weights / weights.sum(axis=1)[:, None]  # as 1.3's DecisionTreeClassifier.predict_proba
    actual = load("model", dumped(model)).evaluate(ROWS)
    assert model.predict_proba(ROWS).max() > 10, "what the installed scikit-learn makes of it"
    assert np.array_equal(actual, expected / 7)
    assert np.abs(actual.sum(axis=1) - 1).max() < 1e-12


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_leaves_that_hold_no_probabilities_are_refused(value, fitted):
    model = pickle.loads(pickle.dumps(fitted))
    state = model.estimators_[0].tree_.__getstate__()
    state["values"] = state["values"].copy()
    state["values"][-1, 0, 0] = value
    model.estimators_[0].tree_.__setstate__(state)
    with pytest.raises(ForestError, match="its leaves hold values that are not"):
        load("model", dumped(model))


def test_leaves_of_no_weight_are_refused(fitted):
    model = pickle.loads(pickle.dumps(fitted))
    state = model.estimators_[0].tree_.__getstate__()
    state["values"] = np.zeros_like(state["values"])
    model.estimators_[0].tree_.__setstate__(state)
    with pytest.raises(ForestError, match="not the weights or probabilities of classes"):
        load("model", dumped(model))


NUMBERS, TARGET = load_diabetes(return_X_y=True)
REGRESSORS = [
    RandomForestRegressor(13, max_depth=6, random_state=0),
    RandomForestRegressor(7, criterion="absolute_error", max_depth=3, random_state=0),
    ExtraTreesRegressor(13, max_depth=6, random_state=0),
    DecisionTreeRegressor(max_depth=6, random_state=0),
    ExtraTreeRegressor(max_depth=6, random_state=0),
]


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("model", REGRESSORS, ids=str)
def test_a_regressor_gives_scikit_learns_values_bit_for_bit(model, outputs):
    rows = NUMBERS[:200].astype(np.float32)
    target = np.column_stack([TARGET * (n + 1) / 7 for n in range(outputs)])[:200]
    model.fit(rows, target if outputs > 1 else target[:, 0])
    flat = load("model", dumped(model))
    expected = model.predict(rows).reshape(200, outputs)
    assert flat.classes == () and np.array_equal(flat.evaluate(rows), expected)
    assert all(np.array_equal(flat.evaluate(rows[n : n + 1])[0], expected[n]) for n in range(200))


def test_a_single_extremely_randomized_tree_is_read():
    model = ExtraTreeClassifier(max_depth=4, random_state=0).fit(ROWS, SPECIES)
    assert np.array_equal(load("model", dumped(model)).evaluate(ROWS), model.predict_proba(ROWS))


@pytest.mark.parametrize("trained_with_missing", [True, False])
@pytest.mark.parametrize("depth", [2, 6])
def test_missing_values_go_where_scikit_learn_sends_them(trained_with_missing, depth):
    random = np.random.default_rng(0)
    holes = np.where(random.random(ROWS.shape) < 0.3, np.float32(np.nan), ROWS)
    model = RandomForestClassifier(9, max_depth=depth, random_state=0)
    model.fit(holes if trained_with_missing else ROWS, SPECIES)
    flat = load("model", dumped(model))
    expected = model.predict_proba(holes)
    assert np.array_equal(flat.evaluate(holes), expected)
    assert all(np.array_equal(flat.evaluate(holes[n : n + 1])[0], expected[n]) for n in range(len(holes)))


def test_the_names_of_a_frames_columns_are_kept():
    columns = ["sepal length", "sepal width", "petal length", "petal width"]
    model = RandomForestClassifier(2, random_state=0).fit(ROWS, SPECIES)
    model.feature_names_in_ = np.array(columns, object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load("model", pickle.dumps(model)).feature_names == tuple(columns)
    assert loading.load("model", dumped(RandomForestClassifier(2).fit(ROWS, SPECIES))).feature_names == ()
