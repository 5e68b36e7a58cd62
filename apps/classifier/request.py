"""The request of /predict: which numbers make an image, and every reason why some do not, in words."""

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

SCALES = (1, 255)
FEATURES = 784  # of the examples and the schema; the model that is loaded has the last word
COUNTS = ("minItems", "maxItems")
JSON_NAMES = {bool: "a boolean", str: "a string", type(None): "null", list: "an array", dict: "an object"}


class PredictRequest(BaseModel):
    """An image as numbers."""

    # Validators get {"n_features": int} as context; `features` is then float32 (1, n_features) from 0 to 1.
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    scale: Annotated[Any, WithJsonSchema({"enum": list(SCALES), "default": 1})] = Field(
        1, description="255 where features run from 0 to 255, as pixels do"
    )
    features: Annotated[
        list[Any],
        WithJsonSchema({"type": "array", "items": {"type": "number"}, **dict.fromkeys(COUNTS, FEATURES)}),
    ] = Field(description="one number a pixel, row by row, from 0 (background) to 1, or to `scale`")

    @field_validator("scale")
    @classmethod
    def _scale(cls, value: Any) -> int:
        if type(value) not in (int, float) or value not in SCALES:
            raise PydanticCustomError("scale", "must be 1 (the default) or 255")
        return int(value)

    @field_validator("features")
    @classmethod
    def _features(cls, values: list, info: ValidationInfo) -> np.ndarray:
        scale, n_features = info.data.get("scale", SCALES[-1]), info.context["n_features"]
        row = _numbers(values)
        if row is None or row.size != n_features or not ((row >= 0) & (row <= scale)).all():
            mistakes = [((i,), text) for i, value in enumerate(values) if (text := _mistake(value, scale))]
            if len(values) != n_features:
                mistakes.insert(0, ((), f"must hold exactly {n_features} numbers; {len(values)} were given"))
            raise PydanticCustomError("features", "are not an image", {"mistakes": mistakes})
        return scaled(row, scale)


def scaled(features: np.ndarray, scale: int) -> np.ndarray:
    """Return float64 `features` / `scale` as float32 (1, n); for whole pixels exactly float32(pixel) / 255.

    (The quotient of two float32 numbers is the same whether it is rounded once, or to float64 first.)
    """
    return (features / scale).astype(np.float32)[None, :]


def _numbers(values: list) -> np.ndarray | None:
    if not set(map(type, values)) <= {int, float}:
        return None
    try:
        return np.array(values, np.float64)
    except OverflowError:  # an integer beyond what a float holds
        return None


def _mistake(value: Any, scale: int) -> str | None:
    rule = f"must be a number from 0 to {scale}"
    if type(value) not in (int, float):
        return f"{rule}; {JSON_NAMES[type(value)]} was given"
    if 0 <= value <= scale:
        return None
    hint = '. Send "scale": 255 with pixels from 0 to 255' if scale == 1 and 1 < value <= 255 else ""
    return f"{rule}; {_shown(value)} was given{hint}"


def _shown(value: float) -> str:
    return f"{value}" if abs(value) < 1e15 or isinstance(value, float) else "a much larger integer"
