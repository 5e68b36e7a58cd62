"""Trains a model of mixed columns, as a team brings one: writes houses.csv and houses_v1.joblib to the current folder.

Needs scikit-learn in the version of pyproject.toml's extra `training`, and pandas.
"""

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROWS = 2000


def houses() -> tuple[pd.DataFrame, pd.Series]:
    """Return 2,000 houses, some with missing facts, and their prices."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "area": random.uniform(40, 250, ROWS).round(1),
            "rooms": random.integers(1, 9, ROWS),
            "garden": random.random(ROWS) < 0.4,
            "town": random.choice(["Bern", "Köln", "Linz", "Wien"], ROWS).astype(object),
        }
    )
    price = 2500 * rows.area + 9000 * rows.rooms + 30_000 * rows.garden + 80_000 * (rows.town == "Wien")
    for name in ("area", "town"):
        rows.loc[random.random(ROWS) < 0.05, name] = np.nan
    return rows, (price + random.normal(0, 20_000, ROWS)).round(-2)


def main() -> None:
    rows, price = houses()
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    parts = [("numbers", numbers, ["area", "rooms"]), ("texts", texts, ["town"]), ("flags", "passthrough", ["garden"])]
    model = make_pipeline(ColumnTransformer(parts, sparse_threshold=0), GradientBoostingRegressor(random_state=0))
    joblib.dump(model.fit(rows, price), "houses_v1.joblib")
    rows.to_csv("houses.csv", index=False)


if __name__ == "__main__":
    main()
