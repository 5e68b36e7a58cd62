"""Logs models to a server of MLflow: `python logging_models.py URL FOLDER COMMIT`. It runs in MLflow's own environment.

Writes `FOLDER/answers.json`: the rows of each model as lists, its probabilities, and the run.
"""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def fitted():
    """Yield the name, flavor, options, model and rows of each."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 9, 200),
            "rooms": random.integers(1, 9, 200),
            "colour": random.choice(["red", "green"], 200).astype(object),
        }
    )
    target = np.where(frame.age / 10 + frame.rooms + 3 * (frame.colour == "red") > 9, "dear", "cheap")
    parts = [("numbers", StandardScaler(), ["age", "rooms"]), ("texts", OneHotEncoder(), ["colour"])]
    pipeline = make_pipeline(ColumnTransformer(parts, sparse_threshold=0), LogisticRegression())
    numbers, codes = frame[["age", "rooms"]], (target == "dear").astype(int)
    yield "house", mlflow.sklearn, {}, pipeline.fit(frame, target), frame
    forest = RandomForestClassifier(5, random_state=0)
    yield "forest", mlflow.sklearn, {"serialization_format": "pickle"}, forest.fit(numbers, target), numbers
    yield "boosted", mlflow.xgboost, {}, xgboost.XGBClassifier(n_estimators=5).fit(numbers, codes), numbers


def main(url: str, folder: Path, commit: str) -> None:
    """Log every model, as its users do."""
    mlflow.set_tracking_uri(url)
    answers = {}
    with mlflow.start_run(tags={"mlflow.source.git.commit": commit}) as run:
        for name, flavor, options, model, rows in fitted():
            signature = infer_signature(rows, model.predict(rows))
            keys = {"name": name, "registered_model_name": name, "signature": signature, "input_example": rows[:50]}
            flavor.log_model(model, **keys, **options)
            answers[name] = {"rows": rows.values.tolist(), "probabilities": model.predict_proba(rows).tolist()}
    mlflow.MlflowClient().set_registered_model_alias("house", "champion", 1)
    (folder / "answers.json").write_text(json.dumps(answers | {"run": run.info.run_id}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
