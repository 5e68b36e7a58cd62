"""POST /predict: its answers, and the rules that a wrong body breaks."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from apps.classifier.api.predict_request import PredictRequest
from apps.classifier.model import scaled
from apps.classifier.tests import forests

ZEROS = [0] * 784
RULE = "must be a number from 0 to"


def test_the_answer_is_scikit_learns_unrounded_with_the_best_three(client, digits):
    for pixels in forests.images(20, seed=3):
        expected = digits.predict_proba(forests.unit(pixels[None, :]))[0]
        answer = client.post("/predict", json={"features": pixels.tolist(), "scale": 255}).json()
        order = np.argsort(-expected, kind="stable")[:3]
        top = [{"label": str(digits.classes_[i]), "probability": expected[i]} for i in order]
        assert answer == {**top[0], "top": top, "model_version": "v1"}


def test_pixels_and_fractions_get_the_same_answer(client):
    pixels = forests.images(1, seed=4)[0]
    unit = [float(value) for value in forests.unit(pixels)]
    answers = [
        client.post("/predict", json=body).json()
        for body in (
            {"features": pixels.tolist(), "scale": 255},
            {"features": unit},
            {"features": unit, "scale": 1},
            {"features": [pixel / 255 for pixel in pixels.tolist()]},
        )
    ]
    assert all(answer == answers[0] for answer in answers)


def test_every_pixel_is_scaled_to_the_float32_that_the_training_saw():
    pixels = np.arange(256)
    trained = pixels.astype(np.float32) / 255
    assert np.array_equal(scaled(pixels.astype(np.float64), 255), trained)


def test_several_images_get_the_answers_that_each_gets_alone(client):
    images = forests.images(70, seed=12).tolist()
    together = client.post("/predict", json={"instances": images, "scale": 255}).json()
    alone = [client.post("/predict", json={"features": image, "scale": 255}).json() for image in images]
    version = together["model_version"]
    assert [{**answer, "model_version": version} for answer in together["predictions"]] == alone


def test_a_body_full_of_mistakes_is_answered_without_listing_them_all(client):
    """Listing a megabyte of mistakes would block the event loop for as long as a thousand requests."""
    answer = client.post("/predict", json={"features": [None] * 200_000})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20
    assert "more than 20 mistakes" in answer.json()["detail"]
    with pytest.raises(ValidationError) as error:
        PredictRequest.model_validate({"features": [None] * 200_000}, context={"n_features": 784})
    assert len(error.value.errors()[0]["ctx"]["mistakes"]) == 21


BAD = {
    "too few": ({"features": ZEROS[1:]}, [("#/features", "must hold exactly 784 numbers; 783 were given.")]),
    "too many": ({"features": [*ZEROS, 0]}, [("#/features", "must hold exactly 784 numbers; 785 were given.")]),
    "none": ({"features": []}, [("#/features", "must hold exactly 784 numbers; 0 were given.")]),
    "a text": ({"features": ["0", *ZEROS[1:]]}, [("#/features/0", f"{RULE} 1; a string was given.")]),
    "a boolean": ({"features": [*ZEROS[1:], True]}, [("#/features/783", f"{RULE} 1; a boolean was given.")]),
    "null": ({"features": [None, *ZEROS[1:]]}, [("#/features/0", f"{RULE} 1; null was given.")]),
    "nested": ({"features": [ZEROS, *ZEROS[1:]]}, [("#/features/0", f"{RULE} 1; an array was given.")]),
    "an object": ({"features": [{}, *ZEROS[1:]]}, [("#/features/0", f"{RULE} 1; an object was given.")]),
    "negative": ({"features": [-0.5, *ZEROS[1:]]}, [("#/features/0", f"{RULE} 1; -0.5 was given.")]),
    "just above": (
        {"features": [1.0000001, *ZEROS[1:]]},
        [("#/features/0", f'{RULE} 1; 1.0000001 was given. Send "scale": 255 with pixels from 0 to 255.')],
    ),
    "above the scale": (
        {"features": [256, *ZEROS[1:]], "scale": 255},
        [("#/features/0", f"{RULE} 255; 256 was given.")],
    ),
    "a scale that is not": ({"features": ZEROS, "scale": 100}, [("#/scale", "must be 1 (the default) or 255.")]),
    "a scale that is a text": ({"features": ZEROS, "scale": "255"}, [("#/scale", "must be 1 (the default) or 255.")]),
    "true is not 1": ({"features": ZEROS, "scale": True}, [("#/scale", "must be 1 (the default) or 255.")]),
    "a misspelt key": (
        {"feature": ZEROS},
        [("#/feature", "is not known here; remove it or correct its name.")],
    ),
    "no image": ({}, [("#", "must have either features or instances.")]),
    "two kinds of images": (
        {"features": ZEROS, "instances": [ZEROS]},
        [("#", "must have either features or instances.")],
    ),
    "no instances": ({"instances": []}, [("#/instances", "must hold at least one image.")]),
    "instances that are not": (
        {"instances": [ZEROS, 7, ZEROS[1:], [*ZEROS[1:], 5], "x", None]},
        [
            ("#/instances/1", "must be an array of 784 numbers; a number was given."),
            ("#/instances/2", "must hold exactly 784 numbers; 783 were given."),
            ("#/instances/3/783", f'{RULE} 1; 5 was given. Send "scale": 255 with pixels from 0 to 255.'),
            ("#/instances/4", "must be an array of 784 numbers; a string was given."),
            ("#/instances/5", "must be an array of 784 numbers; null was given."),
        ],
    ),
    "several": (
        {"features": ["x", *ZEROS[:-2], 2, 3], "scale": 3, "more": 1},
        [
            ("#/scale", "must be 1 (the default) or 255."),
            ("#/features", "must hold exactly 784 numbers; 785 were given."),
            ("#/features/0", f"{RULE} 255; a string was given."),
            ("#/more", "is not known here; remove it or correct its name."),
        ],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_is_not_an_image_gets_every_rule_that_it_breaks(client, name):
    request, errors = BAD[name]
    answer = client.post("/predict", json=request)
    assert answer.status_code == 422
    assert [(error["pointer"], error["detail"]) for error in answer.json()["errors"]] == errors


@pytest.mark.parametrize(
    "literal, number",
    [
        ("NaN", "nan"),
        ("Infinity", "inf"),
        ("-Infinity", "-inf"),
        ("1e999", "inf"),
        ("1" + "0" * 400, "a much larger integer"),
    ],
)
def test_a_number_that_is_not_finite_is_a_422_with_its_place(client, literal, number):
    body = f'{{"features": [0, {literal}{", 0" * 782}]}}'
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error == {"pointer": "#/features/1", "detail": f"{RULE} 1; {number} was given."}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["features", "scale", "x"]), inner),
        max_leaves=20,
    )
)
def test_no_json_makes_the_service_fail(client, value):
    answer = client.post("/predict", content=json.dumps(value), headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)


def test_the_examples_of_the_documentation_are_answered(client):
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/predict"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) == 3
    shape = set(operation["responses"]["200"]["content"]["application/json"]["example"])
    for example in examples.values():
        answer = client.post("/predict", json=example["value"])
        assert answer.status_code == 200
        several = {"predictions", "model_version"}
        assert set(answer.json()) == (several if "instances" in example["value"] else shape)
    assert client.get("/docs").status_code == 200


def test_the_example_is_a_body_that_is_answered(client):
    assert client.post("/predict", json=client.get("/predict/example").json()).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/predict/image", "/v2/models/{name}/infer"])
def test_the_documentation_names_the_errors_that_a_client_should_expect(client, path):
    responses = client.get("/openapi.json").json()["paths"][path]["post"]["responses"]
    assert {"413", "415", "422", "503", "504"} <= set(responses)
    assert "Retry-After" in responses["503"]["headers"]
