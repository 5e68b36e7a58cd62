"""What the routes answer, as the OpenAPI document shows it; the routes themselves write JSON without these classes."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from apps.classifier.evaluator import RowError
from apps.serving.problems import Problem, pointer


class Score(BaseModel):
    """One class."""

    label: str
    probability: float = Field(description="not rounded")


class Ranking(Score):
    """The predicted class, which is nearly always the most probable one, and the most probable classes."""

    top: list[Score] = Field(description="the three most probable classes, best first")


class Prediction(Ranking):
    """The answer to `features`."""

    model_version: str


class Predictions(BaseModel):
    """The answer to `instances`, in their order."""

    predictions: list[Ranking]
    model_version: str


class PicturePrediction(Ranking):
    """The answer to a picture."""

    probabilities: list[Score] = Field(description="of every class, in their order")
    image: list[list[int]] = Field(description="the 28 x 28 pixels, 0 to 255, that the model was given")
    model_version: str


TOP = [{"label": label, "probability": value} for label, value in (("7", 0.87), ("9", 0.08), ("2", 0.02))]
EXAMPLE = {**TOP[0], "top": TOP, "model_version": "v1"}


def unanswered(error: RowError, place: Sequence[str | int]) -> Problem:
    """Return the problem of a row that the model does not answer, which is at `place` in the body."""
    if error.again:
        return Problem(503, f"Row {error.row}: the model {error}. Try again later.", headers={"Retry-After": "1"})
    detail = f"Row {error.row}: the model {error}."
    return Problem(422, detail, errors=[{"pointer": pointer(place), "detail": detail}])
