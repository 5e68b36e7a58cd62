"""Trains a model of 20 columns: argv names it and the folder for original.joblib, rows.csv and requests.json."""

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROWS, REQUESTS = 5000, 32
CITIES = ("Bern", "Genf", "Köln", "Linz", "Rom", "Wien")


def frame(random: np.random.Generator, mixed: bool) -> pd.DataFrame:
    """Return 20 columns: numbers only, or 10 numbers, 3 whole ones, 3 booleans and 4 texts."""
    columns: dict[str, Any] = {f"number{n}": random.normal(50, 20, ROWS) for n in range(10 if mixed else 20)}
    if mixed:
        columns |= {f"count{n}": random.integers(0, 100, ROWS) for n in range(3)}
        columns |= {f"flag{n}": random.random(ROWS) < 0.5 for n in range(3)}
        columns |= {f"city{n}": random.choice(CITIES, ROWS).astype(object) for n in range(4)}
    return pd.DataFrame(columns)


def pipeline(rows: pd.DataFrame) -> Any:
    """Return the preparation of mixed columns that a team would write, and a logistic regression."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    names = {prefix: [name for name in rows if name.startswith(prefix)] for prefix in ("flag", "city")}
    others = [name for name in rows if not name.startswith(("flag", "city"))]
    parts = [("numbers", numbers, others), ("texts", texts, names["city"]), ("flags", "passthrough", names["flag"])]
    return make_pipeline(ColumnTransformer(parts, sparse_threshold=0), LogisticRegression())


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    random = np.random.default_rng(0)
    rows = frame(random, mixed=name == "pipeline")
    cost = rows.number0 + 2 * rows.number1 - rows.number2 + random.normal(0, 10, ROWS)
    if name == "pipeline":
        cost += 30 * (rows.city0 == "Rom") + 20 * rows.flag0
    labels = np.where(cost > cost.median(), "dear", "cheap")
    asked = rows[:REQUESTS].copy()
    if name == "pipeline":
        for column in ("number3", "city1"):
            rows.loc[random.random(ROWS) < 0.1, column] = np.nan
        model = pipeline(rows).fit(rows, labels)
        requests: list[Any] = json.loads(asked.to_json(orient="records"))
        answered = model.predict(pd.DataFrame(requests))
    else:
        model = LGBMClassifier(verbose=-1).fit(rows.to_numpy(), labels)
        requests = asked.to_numpy().tolist()
        answered = model.predict(asked.to_numpy())
    joblib.dump(model, folder / "original.joblib")
    rows.to_csv(folder / "rows.csv", index=False)
    document = {"rows": requests, "labels": answered.tolist(), "classes": model.classes_.tolist()}
    (folder / "requests.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main()
