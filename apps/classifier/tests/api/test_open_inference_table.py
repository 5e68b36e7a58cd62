"""The Open Inference Protocol for a model of a table: a typed tensor for each feature, or all in one."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier

from apps.classifier.tests import tables
from apps.classifier.tests.api.test_open_inference import binary, decoded
from apps.classifier.tests.tables import COLUMNS, IRIS
from models.features import Feature

IRIS_URL, HOUSE_URL = "/v2/models/iris/infer", "/v2/models/house/infer"
HOUSES = [[4.5, 3, True, "blue", 2], [1.25, 9, False, "red", 1], [9.0, 1, True, "green", 3]]
DATATYPES = {"size": "FP64", "rooms": "INT64", "new": "BOOL", "colour": "BYTES", "class": "FP64"}
DTYPES = {"FP64": "<f8", "INT64": "<i8", "BOOL": "?"}


def columns(houses=HOUSES, **replaced) -> list[dict]:
    """Return a tensor for each feature; `replaced` are members of the tensor `size`."""
    tensors = [
        {"name": name, "datatype": datatype, "shape": [len(houses), 1], "data": [house[place] for house in houses]}
        for place, (name, datatype) in enumerate(DATATYPES.items())
    ]
    tensors[0] |= replaced
    return tensors


def expected(houses=HOUSES) -> np.ndarray:
    colours = {"red": 0, "green": 1, "blue": 2}
    rows = [[*house[:3], colours[house[3]], house[4]] for house in houses]
    return tables.mixed_forest().predict_proba(np.array(rows, np.float32))


def probabilities(client, url, body) -> list[float]:
    answer = client.post(url, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"][0]["data"]


def as_bytes(tensor: dict) -> bytes:
    if tensor["datatype"] == "BYTES":
        return b"".join(len(text).to_bytes(4, "little") + text.encode() for text in tensor["data"])
    return np.array(tensor["data"], DTYPES[tensor["datatype"]]).tobytes()


def test_the_metadata_are_the_features_with_their_facts(mixed, diabetes):
    metadata = mixed.get("/v2/models/house").json()
    assert {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]} == DATATYPES
    assert metadata["inputs"][0] == {
        "name": "size",
        "datatype": "FP64",
        "shape": [-1, 1],
        "parameters": {
            **{"name": "size", "kind": "float", "unit": "cm", "range": [0.0, 10.0], "missing": "null"},
            "example": 4.5,
        },
    }
    assert metadata["outputs"][0] == {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]}
    outputs = diabetes.get("/v2/models/diabetes").json()["outputs"]
    assert outputs == [{"name": "value", "datatype": "FP64", "shape": [-1, 1]}]


def test_a_tensor_for_each_feature_in_any_order(mixed):
    assert probabilities(mixed, HOUSE_URL, {"inputs": columns()}) == expected().ravel().tolist()
    assert probabilities(mixed, HOUSE_URL, {"inputs": columns()[::-1]}) == expected().ravel().tolist()
    flat = [tensor | {"shape": [3]} for tensor in columns()]
    nested = [tensor | {"data": [[value] for value in tensor["data"]]} for tensor in columns()]
    for inputs in (flat, nested):
        assert probabilities(mixed, HOUSE_URL, {"inputs": inputs}) == expected().ravel().tolist()


def test_the_same_as_bytes(mixed):
    tensors = columns()
    parts = [as_bytes(tensor) for tensor in tensors]
    for tensor, part in zip(tensors, parts, strict=True):
        del tensor["data"]
        tensor["parameters"] = {"binary_data_size": len(part)}
    request = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    outputs = decoded(mixed.post(HOUSE_URL, **binary(request, b"".join(parts))))
    assert outputs["probabilities"] == expected().tobytes()


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT8", "UINT16", "INT32", "UINT64"])
def test_all_features_in_one_tensor_of_any_number_type(iris, datatype):
    rows = np.round(IRIS.data[::30])
    tensor = {"name": "features", "datatype": datatype, "shape": list(rows.shape), "data": rows.ravel().tolist()}
    answer = tables.iris_forest().predict_proba(rows)
    assert probabilities(iris, IRIS_URL, {"inputs": [tensor]}) == answer.ravel().tolist()


def test_what_clients_send_as_null_is_as_if_left_out(mixed):
    tensors = [tensor | {"parameters": None} for tensor in columns()]
    outputs = [{"name": "label", "parameters": None}]
    nulls: dict[str, object] = {"parameters": None, "id": None, "outputs": None}
    empty: dict[str, object] = {"parameters": {}, "outputs": []}
    for more in (nulls, empty):
        assert probabilities(mixed, HOUSE_URL, {"inputs": tensors, **more}) == expected().ravel().tolist()
    answer = mixed.post(HOUSE_URL, json={"inputs": tensors, "outputs": outputs}).json()
    assert [output["name"] for output in answer["outputs"]] == ["label"]


def test_missing_values_are_null_nan_or_a_tensor_left_out(mixed):
    forest = tables.mixed_forest()
    rows = np.array([[np.nan, 3, 1, 2, np.nan]], np.float32)
    answer = forest.predict_proba(rows).ravel().tolist()
    without_class = columns(HOUSES[:1], data=[None])[:4]
    assert probabilities(mixed, HOUSE_URL, {"inputs": without_class}) == answer
    content = np.array([np.nan]).tobytes()
    for tensor in without_class:
        tensor["parameters"] = {}
    del without_class[0]["data"]
    without_class[0]["parameters"] = {"binary_data_size": 8}
    assert mixed.post(HOUSE_URL, **binary({"inputs": without_class}, content)).json()["outputs"][0]["data"] == answer


def test_a_regressor_answers_its_values(diabetes):
    rows = load_diabetes().data[:5]
    inputs = [
        {"name": f"x{number}", "datatype": "FP64", "shape": [5], "data": column.tolist()}
        for number, column in enumerate(rows.T)
    ]
    output = diabetes.post("/v2/models/diabetes/infer", json={"inputs": inputs}).json()["outputs"]
    values = tables.diabetes_forest().predict(rows).tolist()
    assert output == [{"name": "value", "datatype": "FP64", "shape": [5, 1], "data": values}]


BAD: dict[str, tuple[dict, str]] = {
    "an unknown tensor": (
        {"inputs": columns()[1:] + columns(name="weight")[:1]},
        "#/inputs/4/data: is no feature of this model; its features are size, rooms, new, colour, class.",
    ),
    "a tensor left out": ({"inputs": columns()[1:]}, "is required. Send null where it is missing."),
    "a tensor twice": ({"inputs": [*columns(), columns()[0]]}, "#/inputs/5/name: must name each feature once."),
    "another length": (
        {"inputs": columns(HOUSES[:2])[:1] + columns()[1:]},
        "#/inputs/1/shape: must be [n] or [n, 1], the same n, at least 1, for every tensor; [3, 1] was given.",
    ),
    "no rows": ({"inputs": [tensor | {"shape": [0], "data": []} for tensor in columns()]}, "at least 1"),
    "a wrong kind": (
        {"inputs": columns(datatype="BYTES", data=["big", 1, 2])},
        "#/inputs/0/data/0: must be a number; 'big' was given (size, in cm).",
    ),
    "an output that it has not": (
        {"inputs": columns(), "outputs": [{"name": "value"}]},
        "#/outputs/0/name: must be 'probabilities' or 'label'.",
    ),
    "too few values": ({"inputs": columns(data=[1])}, "must hold 3 values, as the shape says; 1 were given"),
}


@pytest.mark.parametrize("name", BAD)
def test_tensors_that_are_no_rows_get_the_rule_that_they_break(mixed, name):
    body, text = BAD[name]
    answer = mixed.post(HOUSE_URL, json=body)
    assert answer.status_code == 422
    assert text in answer.json()["error"]


TEXTS = {
    "cut short": b"\3\0\0\0re",
    "one too few": b"\3\0\0\0red",
    "a huge length": b"\xff\xff\xff\xffred",
    "not UTF-8": b"\1\0\0\0\xff\3\0\0\0red\3\0\0\0red",
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_are_malformed_are_refused(mixed, name):
    tensors = columns()
    del tensors[3]["data"]
    tensors[3]["parameters"] = {"binary_data_size": len(TEXTS[name])}
    answer = mixed.post(HOUSE_URL, **binary({"inputs": tensors}, TEXTS[name]))
    assert answer.status_code == 422 and "#/inputs/3: must hold" in answer.json()["error"]


def test_one_tensor_may_be_the_only_feature_of_a_model(serve, tmp_path):
    """Its name may even be that of the tensor that otherwise holds all features."""
    features = (Feature(name="features"),)
    forest = RandomForestClassifier(2, random_state=0).fit(IRIS.data[:, 2:3], IRIS.target)
    client = serve(tables.publish(forest, tmp_path / "one_v1.joblib", features, [[1.4]]))
    tensor = {"name": "features", "datatype": "FP32", "shape": [2], "data": [1.4, 5.0]}
    answer = forest.predict_proba([[1.4], [5.0]]).ravel().tolist()
    assert probabilities(client, "/v2/models/one/infer", {"inputs": [tensor]}) == answer


def test_columns_are_those_of_the_training_frame(iris):
    assert [tensor["name"] for tensor in iris.get("/v2/models/iris").json()["inputs"]] == list(COLUMNS)
