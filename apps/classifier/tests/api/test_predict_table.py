"""POST /predict for a model of a table: rows as arrays or by name, answered as scikit-learn answers them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier

from apps.classifier.tests import tables
from apps.classifier.tests.onnx import graphs
from apps.classifier.tests.tables import COLUMNS, HOUSE, IRIS
from models.features import Feature


def post(client, body):
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200, answer.json()["detail"]
    return answer.json()


def encoded(house: dict) -> np.ndarray:
    """Return a row of HOUSE's kind as numbers."""
    colours = {"red": 0, "green": 1, "blue": 2}
    values = [house["size"], house["rooms"], house["new"], colours[house["colour"]], house.get("class")]
    return np.array([[np.nan if value is None else value for value in values]], np.float32)


def test_natural_values_get_scikit_learns_probabilities_and_labels(iris):
    forest = tables.iris_forest()
    expected = forest.predict_proba(IRIS.data)
    answers = post(iris, {"instances": IRIS.data.tolist()})["predictions"]
    assert [answer["label"] for answer in answers] == forest.predict(IRIS.data).tolist()
    assert [answer["probability"] for answer in answers] == expected.max(axis=1).tolist()
    assert answers[0]["label"] == "setosa"


def test_a_row_by_name_gets_the_answer_of_the_array_in_any_order(iris):
    for row in IRIS.data[::10].tolist():
        by_name = dict(reversed(list(zip(COLUMNS, row, strict=True))))
        assert post(iris, {"features": by_name}) == post(iris, {"features": row})
        assert post(iris, {"instances": [row, by_name]})["predictions"][0] == {
            key: value for key, value in post(iris, {"features": row}).items() if key != "model_version"
        }


def test_values_outside_the_training_data_are_answered_as_the_model_answers_them_and_counted(iris):
    def count() -> float:
        name = "inference_values_outside_range_total "
        (line,) = [line for line in iris.get("/metrics").text.splitlines() if line.startswith(name)]
        return float(line.removeprefix(name))

    forest, row, before = tables.iris_forest(), [5.1, 3.5, 1e6, -7.0], count()
    answer = post(iris, {"features": row})
    assert answer["probability"] == forest.predict_proba([row]).max()
    assert "outside_range" not in answer and count() == before + 2
    assert post(iris, {"features": row, "check_range": True})["outside_range"] == ["petal length", "petal width"]
    assert post(iris, {"features": IRIS.data[0].tolist(), "check_range": True})["outside_range"] == []
    several = post(iris, {"instances": [row, IRIS.data[0].tolist()], "check_range": True})
    assert [len(answer["outside_range"]) for answer in several["predictions"]] == [2, 0]


def test_a_regressor_answers_its_value(diabetes):
    rows = load_diabetes().data[:100]
    expected = tables.diabetes_forest().predict(rows).tolist()
    assert post(diabetes, {"features": rows[0].tolist()}) == {"value": expected[0], "model_version": "v1"}
    assert post(diabetes, {"instances": rows.tolist()})["predictions"] == [{"value": value} for value in expected]
    by_position = {f"x{number}": value for number, value in enumerate(rows[0].tolist())}
    assert post(diabetes, {"features": by_position})["value"] == expected[0]


def test_a_regressor_of_several_outputs_answers_a_list(serve, tmp_path):
    client = serve(tables.publish_diabetes(tmp_path, outputs=2))
    row = load_diabetes().data[0]
    assert post(client, {"features": row.tolist()})["value"] == tables.diabetes_forest(2).predict([row])[0].tolist()


HOUSES: list[dict] = [
    HOUSE,
    HOUSE | {"size": None},
    {key: value for key, value in HOUSE.items() if key != "class"},
    HOUSE | {"rooms": 3.0, "new": 0, "colour": "red", "class": 3.0},
    HOUSE | {"size": None, "class": None, "rooms": 9},
]


@pytest.mark.parametrize("house", HOUSES)
def test_every_kind_and_every_missing_value_reaches_the_forest_as_in_training(house, mixed):
    expected = tables.mixed_forest().predict_proba(encoded(house))[0]
    assert post(mixed, {"features": house})["probability"] == expected.max()


def test_nan_in_json_is_a_missing_value(mixed):
    body = json.dumps({"features": HOUSE | {"size": float("nan")}})
    answer = mixed.post("/predict", content=body, headers={"content-type": "application/json"}).json()
    assert answer == post(mixed, {"features": HOUSE | {"size": None}})


ROW = list(HOUSE.values())
FLOAT32 = {"#/features/0": "must be a number that float32 holds (size, in cm)."}
WRONG_HOUSES: dict[str, tuple[dict, dict]] = {
    "several mistakes": (
        {"features": {"size": "big", "rooms": 2.5, "new": "yes", "colour": "pink", "storeys": 2}},
        {
            "#/features/storeys": "is no feature of this model; its features are size, rooms, new, colour, class.",
            "#/features/size": "must be a number; 'big' was given (size, in cm).",
            "#/features/rooms": "must be a whole number; 2.5 was given (rooms).",
            "#/features/new": "must be true or false; 'yes' was given (new).",
            "#/features/colour": "must be one of red, green, blue; 'pink' was given (colour).",
        },
    ),
    "features left out": (
        {"features": {"colour": "red"}},
        {
            "#/features/size": "is required. Send null where it is missing.",
            "#/features/rooms": "is required.",
            "#/features/new": "is required.",
        },
    ),
    "null where it must not be": (
        {"instances": [ROW, [1, None, True, "red", 1]]},
        {"#/instances/1/1": "must not be missing (rooms)."},
    ),
    "too few": ({"features": ROW[:4]}, {"#/features": "must hold exactly 5 values; 4 were given."}),
    "too many, and one wrong": (
        {"features": [[], *ROW[1:], 1]},
        {
            "#/features": "must hold exactly 5 values; 6 were given.",
            "#/features/0": "must be a number; an array was given (size, in cm).",
        },
    ),
    "a text": (
        {"features": "5,3"},
        {"#/features": "must be an array of 5 values, or an object by name; a string was given."},
    ),
    "infinity": ({"features": [1e400, *ROW[1:]]}, FLOAT32),
    "beyond float32": ({"features": [1e39, *ROW[1:]]}, FLOAT32),
    "a huge integer": ({"features": [10**400, *ROW[1:]]}, FLOAT32),
    "another category": ({"features": [*ROW[:4], 4]}, {"#/features/4": "must be one of 1, 2, 3; 4 was given (class)."}),
    "true is no number": (
        {"features": [True, *ROW[1:]]},
        {"#/features/0": "must be a number; a boolean was given (size, in cm)."},
    ),
    "a scale": ({"features": ROW, "scale": 255}, {"#/scale": "is not known here; remove it or correct its name."}),
    "nothing": ({}, {"#": "must have either features or instances."}),
    "no instances": ({"instances": []}, {"#/instances": "must hold at least one row."}),
    "a flag that is none": ({"features": ROW, "check_range": 1}, {"#/check_range": "Input should be a valid boolean."}),
}


@pytest.mark.parametrize("name", WRONG_HOUSES)
def test_every_mistake_in_a_row_is_named_at_once(name, mixed):
    body, errors = WRONG_HOUSES[name]
    answer = mixed.post("/predict", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert {error["pointer"]: error["detail"] for error in answer.json()["errors"]} == errors


@pytest.mark.parametrize("row", [[2, 3, 4, 5], [5.1, 3.5, 255, 0.2], [-1, 0, 0, 0]])
def test_nothing_is_said_of_a_scale(row, iris):
    """The hint is for pixels: these values are answered."""
    assert post(iris, {"features": row})["label"] in IRIS.target_names
    refused = iris.post("/predict", json={"features": [*row[:3], "x"]})
    assert refused.status_code == 422 and "scale" not in refused.text


def test_a_row_of_more_features_than_an_object_may_otherwise_have_members_is_read_by_name(serve, tmp_path):
    features = tuple(Feature(name=f"feature number {number}") for number in range(400))
    x = np.random.default_rng(0).random((60, 400)) * 1000
    forest = RandomForestClassifier(3, random_state=0).fit(x, np.arange(60) % 2)
    client = serve(tables.publish(forest, tmp_path / "wide_v1.joblib", features, [x[0].tolist()]))
    named = [{feature.name: value for feature, value in zip(features, row, strict=True)} for row in x[:4].tolist()]
    answers = post(client, {"instances": named})["predictions"]
    assert [answer["probability"] for answer in answers] == forest.predict_proba(x[:4]).max(axis=1).tolist()


def test_rows_that_leave_out_features_are_bounded(serve, tmp_path):
    features = tuple(Feature(name=f"x{number}", missing="optional") for number in range(500))
    x = np.random.default_rng(0).random((60, 500))
    forest = RandomForestClassifier(3, random_state=0).fit(x, np.arange(60) % 2)
    client = serve(tables.publish(forest, tmp_path / "wide_v1.joblib", features, [x[0].tolist()]))
    assert len(post(client, {"instances": [{}] * 2000})["predictions"]) == 2000
    answer = client.post("/predict", json={"instances": [{}] * 9000})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"] == "must hold at most 2000 rows of 500 features."


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=6)
            | st.dictionaries(st.sampled_from(["features", "instances", "size", "rooms", "x"]), inner)
        ),
        max_leaves=20,
    )
)
def test_no_json_makes_the_service_fail(mixed, value):
    answer = mixed.post("/predict", content=json.dumps(value), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 422)


def test_a_picture_is_refused_with_the_remedy(iris):
    from apps.classifier.tests.pictures.pictures import drawn, encoded

    answer = iris.post("/predict/image", content=encoded(drawn()), headers={"content-type": "image/png"})
    assert answer.status_code == 422
    rule = "The model iris takes 4 features, and a picture becomes 784 pixels. Send features to /predict."
    assert answer.json()["detail"] == rule


def test_the_example_is_the_first_row_by_name(mixed):
    assert mixed.get("/predict/example").json() == {"features": HOUSE}


def test_the_documentation_of_an_open_category_takes_every_text(serve, tmp_path):
    document = serve(graphs.publish_colours(tmp_path)).get("/openapi.json").json()
    assert document["info"]["description"] == "Answers rows of a table by an ONNX model."
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    array, _ = schema["properties"]["features"]["anyOf"]
    assert array["prefixItems"] == [
        {
            "title": "colour",
            "description": "other texts than the examples are answered too",
            "examples": ["red", "green"],
            "type": ["string", "null"],
        }
    ]


def test_the_documentation_is_that_of_the_model(mixed):
    document = mixed.get("/openapi.json").json()
    assert "/predict/image" not in document["paths"] and "table" in document["info"]["description"]
    operation = document["paths"]["/predict"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    array, by_name = content["schema"]["properties"]["features"]["anyOf"]
    assert [schema["title"] for schema in array["prefixItems"]] == list(HOUSE)
    assert by_name["required"] == ["size", "rooms", "new", "colour"]
    assert by_name["properties"]["size"]["type"] == ["number", "null"]
    assert by_name["properties"]["class"]["enum"] == [1, 2, 3, None]
    assert json.dumps(by_name["properties"]["new"]["enum"]) == "[true, false, 1, 0]"
    assert "in cm; 0 to 10 in the training data" in by_name["properties"]["size"]["description"]
    for example in content["examples"].values():
        assert mixed.post("/predict", json=example["value"]).status_code == 200
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert post(mixed, content["examples"]["object"]["value"]) == shown
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert mixed.post("/v2/models/house/infer", json=infer["examples"]["row"]["value"]).status_code == 200
