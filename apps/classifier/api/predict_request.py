"""The body of POST /predict: which numbers make an image, and in words every rule that a body breaks."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from apps.classifier.model import SCALES, scaled
from apps.classifier.table import JSON_NAMES, Mistake, Place
from apps.serving.problems import MAX_ERRORS

FEATURES = 784  # in the examples and the schema; the loaded model says how many it takes
IMAGE = {"type": "array", "items": {"type": "number"}, "minItems": FEATURES, "maxItems": FEATURES}
ONE_OF: dict[str, JsonValue] = {"oneOf": [{"required": ["features"]}, {"required": ["instances"]}]}

# A JSON array, which validators turn into float32 (n, n_features) from 0 to 1; None where the field is missing.
Images = Annotated[np.ndarray | None, GetPydanticSchema(lambda _, handler: handler(list[Any]))]


class PredictRequest(BaseModel):
    """An image as numbers, or several."""

    # Validators need the context {"n_features": int}.
    model_config = ConfigDict(extra="forbid", json_schema_extra=ONE_OF)

    scale: Annotated[Any, WithJsonSchema({"enum": list(SCALES), "default": 1})] = Field(
        1, description="255 where features run from 0 to 255, as pixels do"
    )
    features: Annotated[Images, WithJsonSchema(IMAGE)] = Field(
        default_factory=lambda: None,
        description="one number a pixel, row by row, from 0 (background) to 1, or to `scale`",
    )
    instances: Annotated[Images, WithJsonSchema({"type": "array", "items": IMAGE, "minItems": 1})] = Field(
        default_factory=lambda: None, description="several images, each as in `features`"
    )

    @property
    def rows(self) -> np.ndarray:
        """The images as float32 (n, n_features) from 0 to 1."""
        rows = self.instances if self.features is None else self.features
        assert rows is not None  # by `_either`
        return rows

    @field_validator("scale")
    @classmethod
    def _scale(cls, value: Any) -> int:
        if type(value) not in (int, float) or value not in SCALES:
            raise PydanticCustomError("scale", "must be 1 (the default) or 255")
        return int(value)

    @field_validator("features")
    @classmethod
    def _features(cls, values: list[Any], info: ValidationInfo) -> np.ndarray:
        return _scaled_images([((), values)], info)

    @field_validator("instances")
    @classmethod
    def _instances(cls, values: list[Any], info: ValidationInfo) -> np.ndarray:
        if not values:
            raise PydanticCustomError("instances", "must hold at least one image")
        return _scaled_images([((number,), image) for number, image in enumerate(values)], info)

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.features is None) == (self.instances is None):
            raise PydanticCustomError("either", "must have either features or instances")
        return self


def _scaled_images(images: list[tuple[Place, Any]], info: ValidationInfo) -> np.ndarray:
    """Return the images, each of which comes with its place below the field, as float32 (n, n_features) from 0 to 1.

    Raises PydanticCustomError with up to MAX_ERRORS + 1 mistakes.
    """
    assert info.context is not None
    scale, n_features = info.data.get("scale", SCALES[-1]), info.context["n_features"]
    rows: list[np.ndarray] = []
    for _, image in images:
        row = _numbers(image, scale, n_features)
        if row is None:
            mistakes = (mistake for place, image in images for mistake in _mistakes(place, image, scale, n_features))
            raise PydanticCustomError("image", "no image", {"mistakes": list(islice(mistakes, MAX_ERRORS + 1))})
        rows.append(row)
    return scaled(np.stack(rows), scale)


def _numbers(image: Any, scale: int, n_features: int) -> np.ndarray | None:
    """Return the image as float64 (n_features,), or None if it breaks a rule."""
    if type(image) is not list or len(image) != n_features or not set(map(type, image)) <= {int, float}:
        return None
    try:
        row = np.array(image, np.float64)
    except OverflowError:  # an integer beyond what a float holds
        return None
    return row if ((row >= 0) & (row <= scale)).all() else None


def _mistakes(place: Place, image: Any, scale: int, n_features: int) -> Iterator[Mistake]:
    if type(image) is not list:
        yield place, f"must be an array of {n_features} numbers; {JSON_NAMES.get(type(image), 'a number')} was given"
        return
    if len(image) != n_features:
        yield place, f"must hold exactly {n_features} numbers; {len(image)} were given"
    for index, value in enumerate(image):
        if text := _mistake(value, scale):
            yield (*place, index), text


def _mistake(value: Any, scale: int) -> str | None:
    rule = f"must be a number from 0 to {scale}"
    if type(value) not in (int, float):
        return f"{rule}; {JSON_NAMES[type(value)]} was given"
    if 0 <= value <= scale:
        return None
    hint = '. Send "scale": 255 with pixels from 0 to 255' if scale == 1 and 1 < value <= 255 else ""
    number = f"{value}" if abs(value) < 1e15 or isinstance(value, float) else "a much larger integer"
    return f"{rule}; {number} was given{hint}"
