"""Registers models behind encoders of categories, with missing, unknown and rare values.

`python -m training.tests.classifier.encoders` runs in the environment of the conversion, as `test_encoders.py` does.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from training.tests.classifier.families import houses
from training.tests.classifier.nested import report

RARE = 120  # rows that a colour has to be in
KNOWN = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
OF_TEXTS = {
    "ordinal": OrdinalEncoder(encoded_missing_value=-2),
    "ordinal, unknown": OrdinalEncoder(**KNOWN, encoded_missing_value=-2),
    "ordinal, rare": OrdinalEncoder(**KNOWN, encoded_missing_value=-2, min_frequency=RARE),
    "ordinal, its own order": OrdinalEncoder(categories=[["red", "green", "blue", np.nan]], encoded_missing_value=9),
    "one-hot": OneHotEncoder(),
    "one-hot, unknown": OneHotEncoder(handle_unknown="ignore"),
    "one-hot, rare": OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE),
    "one-hot without the first": OneHotEncoder(drop="first"),
    "target": TargetEncoder(),
    "imputed, ordinal": make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OrdinalEncoder(**KNOWN)),
}
OF_NUMBERS = {
    "one-hot of numbers": OneHotEncoder(),
    "one-hot of numbers, unknown": OneHotEncoder(handle_unknown="ignore"),
    "ordinal of numbers": OrdinalEncoder(encoded_missing_value=-2),
    "target of numbers": TargetEncoder(),
}


def cases() -> Iterator[tuple[str, Any, pd.DataFrame]]:
    """Yield names, fitted models, and their rows."""
    frame, cost = houses()
    district = np.where(frame.rooms > 5, 9.5, np.where(frame.new, 2.0, np.nan))
    label = np.where(cost + 2 * frame.colour.isna() > 9, "dear", "cheap")
    frame = frame.assign(age=frame.age.fillna(40), district=district)
    colours = [colour if type(colour) is str else None for colour in frame.colour]
    with_none = frame.assign(colour=pd.Series(colours, dtype=object))
    for name, encoder in OF_TEXTS.items():
        yield name, *fitted(encoder, ["colour"], frame, label)
    for name in ("ordinal, unknown", "one-hot", "target"):
        yield f"{name}, None", *fitted(OF_TEXTS[name], ["colour"], with_none, label)
    for name, encoder in OF_NUMBERS.items():
        yield name, *fitted(encoder, ["grade", "district"], frame, label)
    yield "one-hot of all kinds", *fitted(OneHotEncoder(), ["colour", "district", "new"], frame, label)
    yield "target of texts and numbers", *fitted(TargetEncoder(), ["colour", "district"], frame, label)
    missing = make_pipeline(OrdinalEncoder(), HistGradientBoostingClassifier()).fit(frame[["colour"]], label)
    yield "ordinal, missing stays missing", missing, frame[["colour"]]


def fitted(encoder: Any, columns: list[str], frame: pd.DataFrame, label: np.ndarray) -> tuple[Any, pd.DataFrame]:
    """Return a model behind an encoder of `columns`, and its rows."""
    parts = [("codes", encoder, columns), ("numbers", StandardScaler(), ["age", "income"])]
    rows = frame[[*columns, "age", "income"]]
    return make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(rows, label), rows


if __name__ == "__main__":
    report(cases())
