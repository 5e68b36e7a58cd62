"""The OpenAPI document of a model of a table: its schemas and examples come from the manifest."""

from typing import Any

from apps.classifier.api.infer_request import datatype
from apps.classifier.api.predict_request import ONE_OF
from apps.classifier.engines import FOREST, ONNX
from apps.classifier.model import Classifier
from models.features import Feature

JSON_TYPES = {"float": "number", "int": "integer", "category": "string"}
BOOLEANS = (True, False, 1, 0)
MAX_SHOWN = 100  # features whose places in an array are described one by one; values of an open category
DESCRIPTIONS = {
    FOREST: "Answers rows of a table by a decision forest, exactly as scikit-learn would.",
    ONNX: "Answers rows of a table by an ONNX model.",
}
INFER = ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer")


def describe(document: dict[str, Any], model: Classifier) -> None:
    """Change the OpenAPI `document` to what a model of a table takes and answers; one of pixels has it as it is."""
    if model.table is None:
        return
    document["info"]["description"] = DESCRIPTIONS[model.identity.engine]
    del document["paths"]["/predict/image"]
    operation = document["paths"]["/predict"]["post"]
    operation["summary"] = "Answer a row, or several"
    operation["requestBody"]["content"]["application/json"] = {"schema": _request(model), "examples": _requests(model)}
    operation["responses"]["200"]["content"]["application/json"] = {"schema": _answer(model), "example": _shown(model)}
    for path in INFER:
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        content["examples"] = {"row": {"summary": "A row, a tensor for each feature", "value": _infer_request(model)}}


def row_by_name(model: Classifier) -> dict[str, Any]:
    """Return a request of the manifest's first row, an object by the names of its features."""
    return {"features": _named(model)}


def feature_schema(feature: Feature) -> dict[str, Any]:
    """Return the JSON schema of a feature's values."""
    facts = [f"in {feature.unit}"] if feature.unit else []
    if feature.unknown == "accepted":
        facts.append("other texts than the examples are answered too")
    if feature.range:
        facts.append(
            f"{feature.range[0]:g} to {feature.range[1]:g} in the training data, other values are answered too"
        )
    described: dict[str, Any] = {"title": feature.name} | ({"description": "; ".join(facts)} if facts else {})
    may_miss = feature.missing != "refused"
    if feature.kind == "bool" or (feature.kind == "category" and feature.unknown == "refused"):
        return described | {"enum": [*(feature.values or BOOLEANS), *([None] if may_miss else [])]}
    if feature.kind == "category":
        described["examples"] = list(feature.values[:MAX_SHOWN])
    json_type = JSON_TYPES[feature.kind]
    return described | {"type": [json_type, "null"] if may_miss else json_type}


def _request(model: Classifier) -> dict[str, Any]:
    row = _row(model)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "features": row,
            "instances": {"type": "array", "items": row, "minItems": 1, "description": "several rows"},
            "check_range": {
                "type": "boolean",
                "default": False,
                "description": "name the features whose values are outside the range of the training data",
            },
        },
        **ONE_OF,
    }


def _row(model: Classifier) -> dict[str, Any]:
    assert model.table is not None
    features, count = model.table.features, len(model.table.features)
    schemas = [feature_schema(feature) for feature in features]
    array: dict[str, Any] = {"type": "array", "minItems": count, "maxItems": count}
    if count <= MAX_SHOWN:
        array["prefixItems"] = schemas
    by_name = {
        "type": "object",
        "additionalProperties": False,
        "properties": {feature.name: schema for feature, schema in zip(features, schemas, strict=True)},
        "required": [feature.name for feature in features if feature.missing != "optional"],
    }
    return {"anyOf": [array, by_name], "description": "all features in their order, or an object by their names"}


def _requests(model: Classifier) -> dict[str, Any]:
    return {
        "array": {"summary": "A row, its features in their order", "value": {"features": model.example}},
        "object": {"summary": "The same by name", "value": row_by_name(model)},
        "several": {"summary": "Two rows at once", "value": {"instances": [model.example, _named(model)]}},
    }


def _named(model: Classifier) -> dict[str, Any]:
    assert model.table is not None
    return {feature.name: value for feature, value in zip(model.table.features, model.example, strict=True)}


def _infer_request(model: Classifier) -> dict[str, Any]:
    assert model.table is not None
    inputs = [
        {"name": feature.name, "shape": [1, 1], "datatype": datatype(feature), "data": [value]}
        for feature, value in zip(model.table.features, model.example, strict=True)
    ]
    return {"inputs": inputs}


def _answer(model: Classifier) -> dict[str, Any]:
    number, text = {"type": "number"}, {"type": "string"}
    score = {"label": text, "probability": number}
    value = number if model.forest.outputs == 1 else {"type": "array", "items": number}
    row = {**score, "top": {"type": "array", "items": _object(score)}} if model.forest.classes else {"value": value}
    outside = {"outside_range": {"type": "array", "items": text}}
    several = {"predictions": {"type": "array", "items": _object(row, outside)}, "model_version": text}
    return {"anyOf": [_object(row | {"model_version": text}, outside), _object(several)]}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def _shown(model: Classifier) -> dict[str, Any]:
    assert model.table is not None
    (answer,) = model.predict(model.table.rows([((), model.example)]))
    return answer | {"model_version": model.identity.version}
