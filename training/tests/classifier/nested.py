"""Registers models with estimators inside estimators, each with the outcome that its user is told.

It runs in the environment of the conversion, `python -m training.tests.classifier.nested`, as `test_nested.py` does:
a line of JSON for each model, with `refused`, or the largest `difference` from the original and the `features`.
"""

import json
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC

from training.classifier.onnx import converting
from training.errors import TrainingError
from training.tests.classifier.families import houses, prepared


def encoded(model: Any, column: str) -> Any:
    """Return the model behind the encoder that the refusal of categories names."""
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(ColumnTransformer([("codes", encoder, [column])], remainder="passthrough"), model)


def cases() -> Iterator[tuple[str, Any, pd.DataFrame]]:
    """Yield names, fitted models, and their rows."""
    frame, cost = houses()
    label = np.where(cost > 9, "dear", "cheap")
    codes, categories = (label == "dear").astype(int), frame.assign(colour=frame.colour.astype("category"))
    bare = [("a", LogisticRegression()), ("b", GaussianNB())]
    pipelines = [(name, make_pipeline(prepared(), model)) for name, model in bare]
    regressors = [
        (name, make_pipeline(prepared(), model)) for name, model in (("a", Ridge()), ("b", LinearRegression()))
    ]
    for name, model in {
        "voting of pipelines": VotingClassifier(pipelines, voting="soft"),
        "stacking of pipelines": StackingClassifier(pipelines),
        "calibrated pipeline": CalibratedClassifierCV(make_pipeline(prepared(), LinearSVC())),
        "voting behind a pipeline": make_pipeline(prepared(), VotingClassifier(bare, voting="soft")),
        "stacking behind a pipeline": make_pipeline(prepared(), StackingClassifier(bare)),
        "pipeline in a pipeline": make_pipeline(make_pipeline(prepared(), StandardScaler()), LogisticRegression()),
        "union of selections": make_pipeline(make_union(*selections()), LogisticRegression()),
        "boosting behind an encoder": encoded(HistGradientBoostingClassifier(), "colour"),
        "lightgbm behind an encoder": encoded(lightgbm.LGBMClassifier(verbose=-1), "colour"),
    }.items():
        yield name, model.fit(frame, label), frame
    yield "voting of regressors", VotingRegressor(regressors).fit(frame, cost), frame
    yield "stacking of regressors", StackingRegressor(regressors).fit(frame, cost), frame
    yield "transformed target", TransformedTargetRegressor(regressors[0][1]).fit(frame, cost), frame
    yield "boosting with categories", HistGradientBoostingClassifier().fit(categories, label), categories
    yield "lightgbm with categories", lightgbm.LGBMClassifier(verbose=-1).fit(categories, label), categories
    yield "xgboost with categories", xgboost.XGBClassifier(enable_categorical=True).fit(categories, codes), categories
    numbered = HistGradientBoostingClassifier(categorical_features=["grade"])
    yield "boosting with numbered categories", numbered.fit(frame.drop(columns="colour"), label), frame
    numbers = frame[["income", "rooms"]]
    positions = ColumnTransformer([("scaler", StandardScaler(), [1])], remainder="passthrough")
    yield "columns by position", make_pipeline(positions, GaussianNB()).fit(numbers.to_numpy(), label), numbers
    named = frame.assign(day=pd.Timestamp("2026-01-01"), **{"a name": [f"house {n}" for n in frame.index]})
    yield "unused columns", make_pipeline(prepared(), GaussianNB()).fit(named, label), named
    first = ColumnTransformer([("scaler", StandardScaler(), [2, 3])])
    some = named[["a name", "day", "income", "rooms"]]
    yield "unused columns by position", make_pipeline(first, GaussianNB()).fit(some, label), some
    columns = frame[["income", "rooms"]]
    for name, step in {
        "logarithms": FunctionTransformer(np.log1p),
        "function of one's own": FunctionTransformer(doubled),
        "polynomials": make_pipeline(StandardScaler(), PolynomialFeatures(3)),
        "powers": make_pipeline(StandardScaler(), PowerTransformer()),
        "powers of positive numbers": PowerTransformer("box-cox"),
    }.items():
        yield name, make_pipeline(step, StandardScaler(), LogisticRegression()).fit(columns, label), columns
    texts = frame[["colour"]]
    yield "encoder of missing texts", make_pipeline(OneHotEncoder(), LogisticRegression()).fit(texts, label), texts
    yield "targets of missing texts", make_pipeline(TargetEncoder(), LogisticRegression()).fit(texts, label), texts
    notes = pd.Series(np.where(codes, "a good big house", "a small cold flat"), name="note")
    vectorized = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(notes, label)
    yield "free texts", vectorized, notes.to_frame()
    words = pd.DataFrame(vectorized[:1].transform(notes).toarray(), columns=vectorized[0].get_feature_names_out())
    yield "steps behind free texts", vectorized[1:], words


def doubled(rows: Any) -> Any:
    """Return `rows` times two, which no function of numpy is."""
    return rows * 2


def selections() -> list[ColumnTransformer]:
    """Return two selections of columns, one of texts."""
    encoder = OneHotEncoder(handle_unknown="ignore")
    return [ColumnTransformer([("n", "passthrough", ["rooms"])]), ColumnTransformer([("c", encoder, ["colour"])])]


def report(models: Iterable[tuple[str, Any, pd.DataFrame]]) -> None:
    """Register each model by its rows as a CSV; print a line of JSON with its outcome."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path, out, sample = (Path(folder, name) for name in ("m.joblib", "m.onnx", "rows.csv"))
        for name, model, rows in models:
            joblib.dump(model, path)
            rows.to_csv(sample, index=False)
            try:
                keys = converting.describe(path, out, sample, None)
                difference = keys["metrics"]["agreement"]["largest_difference"]
                outcome = {"difference": difference, "features": keys["input"]["features"]}
            except TrainingError as error:
                outcome = {"refused": str(error)}
            print(json.dumps({"model": name, **outcome}), flush=True)


if __name__ == "__main__":
    report(cases())
