"""Registers models behind transformers that skl2onnx lacks or rounds, on rows with missing values.

`python -m training.tests.classifier.transformers` runs in the environment of the conversion, as `test_transformers.py`
does.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from training.tests.classifier.families import houses
from training.tests.classifier.nested import report

CODES = OneHotEncoder(handle_unknown="ignore")


def cases() -> Iterator[tuple[str, Any, pd.DataFrame]]:
    """Yield names, fitted models, and their rows."""
    frame, cost = houses()
    label = np.where(cost > 9, "dear", "cheap")
    frame = frame.assign(empty=np.nan, known=frame.age.fillna(-1))
    numbers, texts, with_empty = ["age", "rooms"], ["colour"], ["empty", "age", "rooms"]
    marked, frequent = SimpleImputer(strategy="median", add_indicator=True), SimpleImputer(strategy="most_frequent")
    both = SimpleImputer(strategy="most_frequent", add_indicator=True)
    for name, part, columns in (
        ("imputer with indicators", make_pipeline(marked, StandardScaler()), numbers),
        ("imputer of other values", SimpleImputer(missing_values=-1, add_indicator=True), ["known"]),
        ("imputer that drops a column", marked, with_empty),
        ("imputer of an empty column", SimpleImputer(keep_empty_features=True), with_empty),
        ("indicators of all columns", make_union(SimpleImputer(), MissingIndicator(features="all")), numbers),
        ("indicators of texts", make_union(CODES, MissingIndicator()), texts),
        ("imputer of texts with indicators", make_pipeline(both, CODES), texts),
        ("imputer of texts, and indicators", make_union(make_pipeline(frequent, CODES), MissingIndicator()), texts),
    ):
        model = make_pipeline(ColumnTransformer([("part", part, columns)], sparse_threshold=0), LogisticRegression())
        yield name, model.fit(frame[columns], label), frame[columns]
    bare = make_pipeline(make_union(SimpleImputer(), MissingIndicator()), StandardScaler(), LogisticRegression())
    yield "union of an imputer and indicators", bare.fit(frame[numbers], label), frame[numbers]


if __name__ == "__main__":
    report(cases())
