"""FastAPI's own tutorial with a pipeline: a pydantic body, a plain function, a frame of pandas."""

import os
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL_PATH"])


class Row(BaseModel):
    features: dict[str, Any]


@app.post("/predict")
def predict(row: Row) -> dict[str, str | float]:
    probabilities = model.predict_proba(pd.DataFrame([row.features]))[0]
    best = probabilities.argmax()
    return {"label": str(model.classes_[best]), "probability": float(probabilities[best])}
