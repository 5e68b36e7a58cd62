"""The Open Inference Protocol v2 as its clients speak it, with JSON and with binary tensors."""

import json

import numpy as np
import pytest

from apps.classifier.tests import forests

INFER = "/v2/models/tiny/infer"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return forests.unit(forests.images(6, seed=20))


def tensor(rows: np.ndarray, datatype: str = "FP32", **replaced) -> dict:
    known = {"name": "features", "shape": list(rows.shape), "datatype": datatype, "data": rows.ravel().tolist()}
    return {key: value for key, value in (known | replaced).items() if value is not None}


def binary(request: dict, content: bytes) -> dict:
    head = json.dumps(request).encode()
    headers = {LENGTH: str(len(head)), "content-type": "application/octet-stream"}
    return {"content": head + content, "headers": headers}


def decoded(answer) -> dict[str, bytes]:
    """Return the outputs as a client of binary tensors reads them."""
    size = int(answer.headers[LENGTH])
    head, content, outputs = json.loads(answer.content[:size]), answer.content[size:], {}
    for output in head["outputs"]:
        part = content[: output["parameters"]["binary_data_size"]]
        content = content[len(part) :]
        outputs[output["name"]] = part
    assert content == b""
    return outputs


def test_the_server_and_the_model_describe_themselves(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200
    for path in ("/v2/models/tiny", "/v2/models/tiny/versions/v1"):
        assert client.get(f"{path}/ready").status_code == 200
        assert client.get(path).json() == {
            "name": "tiny",
            "versions": ["v1"],
            "platform": "sklearn-forest",
            "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 784]}],
            "outputs": [
                {"name": "probabilities", "datatype": "FP64", "shape": [-1, 10]},
                {"name": "label", "datatype": "BYTES", "shape": [-1, 1]},
            ],
        }


@pytest.mark.parametrize(
    "path", ["/v2/models/other", "/v2/models/tiny/versions/v2", "/v2/models/tiny/versions/v2/ready"]
)
def test_another_model_or_version_is_a_404_that_says_what_is_served(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == answer.json()["detail"]
    assert "tiny v1 is" in answer.json()["error"]


@pytest.mark.parametrize("nested", [False, True])
def test_inference_over_json_gives_scikit_learns_probabilities(client, digits, rows, nested):
    data = rows.tolist() if nested else rows.ravel().tolist()
    answer = client.post(INFER, json={"id": "42", "inputs": [tensor(rows, data=data)]}).json()
    expected = digits.predict_proba(rows)
    probabilities, label = answer.pop("outputs")
    assert answer == {"id": "42", "model_name": "tiny", "model_version": "v1"}
    assert probabilities == {
        "name": "probabilities",
        "datatype": "FP64",
        "shape": [6, 10],
        "data": expected.ravel().tolist(),
    }
    assert label == {
        "name": "label",
        "datatype": "BYTES",
        "shape": [6, 1],
        "data": [str(number) for number in expected.argmax(axis=1)],
    }


def test_inference_over_binary_tensors_gives_the_same(client, digits, rows):
    request = {
        "inputs": [tensor(rows, data=None, parameters={"binary_data_size": rows.nbytes})],
        "parameters": {"binary_data_output": True},
    }
    answer = client.post("/v2/models/tiny/versions/v1/infer", **binary(request, rows.astype("<f4").tobytes()))
    assert answer.headers["content-type"] == "application/octet-stream"
    outputs, expected = decoded(answer), digits.predict_proba(rows)
    assert outputs["probabilities"] == expected.astype("<f8").tobytes()
    assert outputs["label"] == b"".join(b"\x01\0\0\0" + str(n).encode() for n in expected.argmax(axis=1))


def test_the_answer_holds_only_the_requested_outputs_each_in_its_requested_form(client, rows):
    outputs = [{"name": "label", "parameters": {"binary_data": True}}]
    assert list(decoded(client.post(INFER, json={"inputs": [tensor(rows)], "outputs": outputs}))) == ["label"]
    outputs = [{"name": "probabilities", "parameters": {"binary_data": False}}]
    request = {"inputs": [tensor(rows)], "outputs": outputs, "parameters": {"binary_data_output": True}}
    assert [output["name"] for output in client.post(INFER, json=request).json()["outputs"]] == ["probabilities"]


@pytest.mark.parametrize(
    "datatype, dtype", [("UINT8", "u1"), ("INT32", "<i4"), ("INT64", "<i8"), ("FP64", "<f8"), ("FP32", "<f4")]
)
def test_pixels_of_any_number_type_are_taken_with_their_scale(client, digits, datatype, dtype):
    pixels = forests.images(2, seed=21)
    content = pixels.astype(dtype).tobytes()
    inputs = [tensor(pixels, datatype, data=None, parameters={"binary_data_size": len(content)})]
    request = {"inputs": inputs, "parameters": {"scale": 255}}
    outputs = client.post(INFER, **binary(request, content)).json()["outputs"]
    assert outputs[0]["data"] == digits.predict_proba(forests.unit(pixels)).ravel().tolist()


ROWS = np.zeros((2, 784))
BAD = {
    "another input": (tensor(ROWS, name="x"), 422, "#/inputs/0/name: must be 'features'."),
    "another width": (tensor(np.zeros((2, 5))), 422, "#/inputs/0/shape: must be [n, 784], n at least 1"),
    "no rows": (tensor(np.zeros((0, 784))), 422, "#/inputs/0/shape: must be [n, 784], n at least 1"),
    "one dimension": (tensor(ROWS, shape=[1568]), 422, "#/inputs/0/shape"),
    "a huge shape": (tensor(ROWS, shape=[10**9, 784]), 422, "must hold 784000000000 values, as the shape says"),
    "another datatype": (tensor(ROWS, "BYTES"), 422, "#/inputs/0/datatype"),
    "an unknown datatype": (tensor(ROWS, "COMPLEX"), 422, "#/inputs/0/datatype"),
    "too little data": (tensor(ROWS, data=[0.0]), 422, "must hold 1568 values, as the shape says; 1 were given"),
    "no numbers": (tensor(ROWS, data=["0"] * 1568), 422, "must hold numbers only"),
    "booleans": (tensor(ROWS, data=[True] * 1568), 422, "must hold numbers only"),
    "a huge integer": (tensor(ROWS, data=[10**400] * 1568), 422, "that a float64 can hold"),
    "out of range": (tensor(ROWS + 2), 422, "from 0 to 1; 2.0 was given at row 0, column 0 (1568 are outside)"),
    "no data": (tensor(ROWS, data=None), 422, "must have either data or the parameter binary_data_size"),
    "a wrong size": (tensor(ROWS, data=None, parameters={"binary_data_size": 5}), 422, "1568 of FP32 take 6272 bytes"),
    "a size that is a text": (tensor(ROWS, data=None, parameters={"binary_data_size": "6272"}), 422, "6272 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_tensor_that_is_not_images_gets_the_rule_that_it_breaks(client, name):
    wrong, status, text = BAD[name]
    answer = client.post(INFER, json={"inputs": [wrong]})
    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_nan_in_binary_data_is_refused(client):
    content = np.full((1, 784), np.nan, "<f4").tobytes()
    inputs = [tensor(ROWS[:1], data=None, parameters={"binary_data_size": len(content)})]
    answer = client.post(INFER, **binary({"inputs": inputs}, content))
    assert answer.status_code == 422
    assert "nan was given" in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "99999999", "", "1" * 5000, "0" * 5000])
def test_a_wrong_length_of_the_json_part_is_refused(client, length):
    answer = client.post(INFER, content=b"{}", headers={LENGTH: length})
    assert answer.status_code == 400
    assert LENGTH in answer.json()["error"]


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 200),  # as Triton's client asks
        ({"origin": "https://evil.example"}, 415),  # a page's fetch of no type, without CORS
        ({"content-type": "text/plain", "origin": "https://evil.example"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "Application/JSON; charset=utf-8", "origin": "https://app.example.org"}, 200),
    ],
)
def test_a_request_that_a_page_of_another_site_can_send_without_preflight_is_refused(client, rows, headers, status):
    body = json.dumps({"inputs": [tensor(rows)]}).encode()
    assert client.post(INFER, content=body, headers=headers).status_code == status


def test_bytes_left_over_are_refused(client, rows):
    answer = client.post(INFER, **binary({"inputs": [tensor(rows)]}, b"left"))
    assert answer.status_code == 400
    assert "4 bytes are left" in answer.json()["error"]
