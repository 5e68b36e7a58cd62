"""Registers models behind transformers that skl2onnx lacks or rounds, on rows with missing values.

`python -m training.tests.classifier.transformers` runs in the environment of the conversion, as
`test_double_precision.py` does.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    OneHotEncoder,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)

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
    for name, part in {
        "clusters": KMeans(3, random_state=0),
        "clusters of batches": MiniBatchKMeans(3, random_state=0),
        "kernels of some rows": Nystroem(n_components=20, random_state=0),
        "cosines of random directions": RBFSampler(n_components=20, random_state=0),
        "uniform quantiles": QuantileTransformer(n_quantiles=50),
        "normal quantiles": QuantileTransformer(n_quantiles=50, output_distribution="normal"),
        "splines": SplineTransformer(),
    }.items():
        scaled = make_pipeline(SimpleImputer(), StandardScaler(), part, LogisticRegression())
        yield name, scaled.fit(frame[numbers], label), frame[numbers]
    money = frame[["age", "income", "rooms"]]
    powers = make_pipeline(PowerTransformer(), HistGradientBoostingClassifier())
    yield "powers of missing values", powers.fit(money, label), money
    bare = make_pipeline(make_union(SimpleImputer(), MissingIndicator()), StandardScaler(), LogisticRegression())
    yield "union of an imputer and indicators", bare.fit(frame[numbers], label), frame[numbers]


if __name__ == "__main__":
    report(cases())
