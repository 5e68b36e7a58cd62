"""What a row is comes from the names that the model keeps, a CSV of its training data, and a JSON file."""

import json

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from models import registry
from training.__main__ import main

IRIS, WINE = load_iris(), load_wine()
COLUMNS = ["sepal length", "sepal width", "petal length", "petal width"]


@pytest.fixture
def register(tmp_path, capsys):
    """Register a model with files for --sample and --features; return the features in its manifest, or the error."""

    def register(model, sample: str | None = None, features: object = None):
        joblib.dump(model, tmp_path / "own_v1.joblib")
        words = ["register", str(tmp_path / "own_v1.joblib"), "--models-dir", str(tmp_path / "models"), "--force"]
        if sample is not None:
            (tmp_path / "rows.csv").write_text(sample)
            words += ["--sample", str(tmp_path / "rows.csv")]
        if features is not None:
            (tmp_path / "features.json").write_text(json.dumps(features))
            words += ["--features", str(tmp_path / "features.json")]
        status, text = main(words), capsys.readouterr().err
        if status:
            return text.splitlines()[-1]
        return registry.read(tmp_path / "models" / "own_v1.joblib").input["features"]

    return register


def iris_forest(names: list[str] | None = COLUMNS, missing: bool = False):
    rows = IRIS.data.copy()
    if missing:
        rows[::3, 1] = np.nan
    forest = RandomForestClassifier(3, random_state=0).fit(rows, IRIS.target)
    if names:  # as fit leaves them for a frame of pandas
        forest.feature_names_in_ = np.array(names, object)
    return forest


def csv(header: list[str], rows) -> str:
    lines = [",".join("" if value != value else f"{value}" for value in row) for row in rows.tolist()]
    return "\n".join([",".join(header), *lines]) + "\n"


def test_names_are_those_of_the_training_frame(register):
    assert [feature["name"] for feature in register(iris_forest())] == COLUMNS
    assert {feature["missing"] for feature in register(iris_forest())} == {"null"}


def test_a_model_that_takes_no_missing_values_says_so(register):
    forest = ExtraTreesClassifier(2, monotonic_cst=None, random_state=0).fit(IRIS.data, IRIS.target)
    assert {feature["missing"] for feature in register(forest)} == {"null"}
    for tree in forest.estimators_:
        tree.splitter = "best"
    assert {feature["missing"] for feature in register(forest)} == {"refused"}


@pytest.mark.parametrize(
    "version, missing", [("1.3.2", "refused"), ("1.4.0", "null"), ("1.10.0", "null"), ("x", "refused")]
)
def test_missing_values_are_refused_where_the_version_that_made_the_forest_refused_them(
    register, monkeypatch, version, missing
):
    monkeypatch.setattr("sklearn.base.__version__", version)
    assert {feature["missing"] for feature in register(iris_forest())} == {missing}


def test_a_column_whose_name_cannot_be_shown_is_named(register):
    error = register(iris_forest(["a\x00", "b", "c", "d"]))
    assert error.startswith(
        "The frame that the model was fitted on does not describe the features: feature 0: name must"
    )


def test_a_sample_tells_kinds_ranges_and_what_may_be_missing(register):
    rows = np.column_stack([IRIS.data, IRIS.target])
    rows[::3, 1] = np.nan
    features = register(iris_forest(missing=True), csv([*COLUMNS, "species"], rows))
    assert features[0] == {"name": COLUMNS[0], "kind": "float", "missing": "refused", "range": [4.3, 7.9]}
    assert (features[1]["missing"], features[1]["range"][0]) == ("optional", float(np.nanmin(rows[:, 1])))


def test_a_sample_names_the_columns_of_a_model_without_names(register):
    forest = RandomForestClassifier(3, random_state=0).fit(WINE.data, WINE.target)
    text = csv(WINE.feature_names, WINE.data).replace(".0,", ",").replace(".0\n", "\n")
    features = {feature["name"]: feature for feature in register(forest, text)}
    assert list(features) == WINE.feature_names
    assert features["proline"] == {"name": "proline", "kind": "int", "missing": "refused", "range": [278, 1680]}
    assert features["hue"]["kind"] == "float"


def test_a_file_of_features_adds_units_and_categories(register):
    described = [
        {"name": "petal width", "unit": "cm", "range": [0, 3]},
        {"name": "sepal length", "kind": "category", "values": ["short", "long"], "missing": "refused"},
    ]
    features = register(iris_forest(), None, described)
    assert features[3] == {"name": "petal width", "kind": "float", "missing": "null", "unit": "cm", "range": [0, 3]}
    assert features[0] == described[1]
    sampled = register(iris_forest(), csv(COLUMNS, IRIS.data), described)
    assert sampled[0] == described[1] and sampled[2]["range"] == [1.0, 6.9]


def test_a_file_of_features_names_those_of_a_model_without_names_in_their_order(register):
    described = [{"name": name, "unit": "cm"} for name in COLUMNS]
    features = register(iris_forest(None), None, described)
    assert [feature["name"] for feature in features] == COLUMNS
    assert register(iris_forest(None), WITH_SPECIES, described)[0]["range"] == [4.3, 7.9]


WITH_SPECIES = csv([*COLUMNS, "species"], np.column_stack([IRIS.data, IRIS.target]))
WRONG_SAMPLES = {
    "a column is missing": (csv(COLUMNS[1:], IRIS.data[:, 1:]), "has no column 'sepal length'; its header is"),
    "a text": ("sepal length,sepal width,petal length,petal width\nlong,1,2,3\n", "'sepal length' holds 'long'"),
    "infinity": ("sepal length,sepal width,petal length,petal width\ninf,1,2,3\n", "'sepal length' holds 'inf'"),
    "a line break in a quotation": (
        "\n".join([",".join(COLUMNS), '"lo', 'ng",1,2,3']),
        "'sepal length' holds 'lo",
    ),
    "rows of another width": ("a,b\n1\n", "is not a CSV that can be read: it needs a header of different names"),
    "no rows": (",".join(COLUMNS), "it needs a header of different names, and rows"),
    "nothing": ("", "is not a CSV that can be read"),
}


@pytest.mark.parametrize("name", WRONG_SAMPLES)
def test_a_sample_that_does_not_fit_is_refused_with_the_reason(register, name):
    text, reason = WRONG_SAMPLES[name]
    assert reason in register(iris_forest(), text)


def test_a_sample_of_another_width_is_refused_for_a_model_without_names(register):
    error = register(iris_forest(None), csv([*COLUMNS, "species"], np.column_stack([IRIS.data, IRIS.target])))
    assert (
        "has 5 columns, and the model takes 4 features without names. Leave out the others, such as the target."
        in error
    )


WRONG_FEATURES: dict[str, tuple[object, str]] = {
    "no array": ({"name": "x"}, "features is not an array of objects"),
    "an unknown feature": (
        [{"name": "weight"}],
        "describes 'weight', which the model does not take; it takes 'sepal length'",
    ),
    "several mistakes": (
        [{"name": "petal width", "kind": "number", "range": [3, 1], "size": 1}, {"name": "petal width", "values": [1]}],
        "feature 0: 'size' is not known; known are name, kind, values, unknown, unit, range, missing; "
        "feature 0: kind must be one of float, int, bool, category; "
        "feature 0: range must be two numbers, the smaller one first; "
        "feature 1: values must be different texts or different numbers, and belong to the kind category; "
        "'petal width' is the name of several",
    ),
    "a category without values": ([{"name": "petal width", "kind": "category"}], "values must be different texts"),
}


@pytest.mark.parametrize("name", WRONG_FEATURES)
def test_a_file_of_features_that_does_not_fit_is_refused_with_every_mistake(register, name):
    described, reason = WRONG_FEATURES[name]
    assert reason in register(iris_forest(), None, described)


def test_a_file_of_features_must_describe_each_of_a_model_without_names(register):
    error = register(iris_forest(None), None, [{"name": "petal width"}])
    assert "describes 1 features, and the model takes 4 without names. Describe each, in their order." in error


def test_missing_values_are_refused_where_the_model_takes_none(register):
    forest = ExtraTreesClassifier(2, random_state=0).fit(IRIS.data, IRIS.target)
    for tree in forest.estimators_:
        tree.splitter = "best"
    assert "takes no missing values" in register(forest, None, [{"name": f"x{n}", "missing": "null"} for n in range(4)])
    rows = IRIS.data.copy()
    rows[0, 0] = np.nan
    assert "'sepal length' has missing values, which the model does not take" in register(forest, csv(COLUMNS, rows))
