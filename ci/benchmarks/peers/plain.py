"""FastAPI's own tutorial with a model: a pydantic body, a plain function, scikit-learn."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL_PATH"])


class Image(BaseModel):
    features: list[float]


@app.post("/predict")
def predict(image: Image) -> dict[str, str | float]:
    probabilities = model.predict_proba([image.features])[0]
    best = probabilities.argmax()
    return {"label": str(model.classes_[best]), "probability": float(probabilities[best])}
