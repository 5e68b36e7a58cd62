"""Estimators inside estimators are served as they answer, or refused in a true line whose remedy works."""

import json
from typing import Any

import pytest

from training import environments

BOUND = 1e-6
OWN_COLUMNS = "holds estimators with a ColumnTransformer of their own. Fit them behind one: make_pipeline("
OWN_CODES = "takes categories that it encodes itself. Encode them in front of it: make_pipeline(ColumnTransformer("
REFUSED = {
    "voting of pipelines": OWN_COLUMNS,
    "stacking of pipelines": OWN_COLUMNS,
    "calibrated pipeline": OWN_COLUMNS,
    "voting of regressors": OWN_COLUMNS,
    "stacking of regressors": OWN_COLUMNS,
    "boosting with categories": OWN_CODES,
    "boosting with numbered categories": OWN_CODES,
    "lightgbm with categories": OWN_CODES,
    "xgboost with categories": OWN_CODES,
    "function of one's own": "is not converted: a FunctionTransformer of a function other than numpy.log, numpy.log1p",
    "free texts": "whose TfidfVectorizer takes free texts, and rows have numbers and categories. Register the steps",
}
SERVED = {
    "transformed target",
    "voting behind a pipeline",
    "stacking behind a pipeline",
    "pipeline in a pipeline",
    "union of selections",
    "boosting behind an encoder",
    "lightgbm behind an encoder",
    "columns by position",
    "logarithms",
    "polynomials",
    "powers",
    "powers of positive numbers",
    "unused columns",
    "unused columns by position",
    "encoder of missing texts",
    "targets of missing texts",
    "steps behind free texts",
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """What happens to each model of `nested`, by its name."""
    python = environments.ready("onnx") / "python"
    lines = environments.run([python, "-m", "training.tests.classifier.nested"]).splitlines()
    return {outcome["model"]: outcome for outcome in map(json.loads, lines)}


@pytest.mark.full
def test_each_remedy_is_served_as_it_answers(outcomes):
    assert {name for name, outcome in outcomes.items() if "difference" in outcome} == SERVED
    assert all(outcomes[name]["difference"] <= BOUND for name in SERVED)


@pytest.mark.full
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_converted_is_refused_by_name_with_a_remedy(outcomes, name):
    assert REFUSED[name] in outcomes[name]["refused"]


@pytest.mark.full
def test_columns_that_a_model_drops_are_no_features(outcomes):
    names = {feature["name"] for feature in outcomes["unused columns"]["features"]}
    assert names == {"age", "income", "rooms", "new", "colour", "grade"}
    assert [f["name"] for f in outcomes["unused columns by position"]["features"]] == ["income", "rooms"]
