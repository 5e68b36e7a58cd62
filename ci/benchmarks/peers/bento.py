"""A BentoML service: a class with one endpoint that takes and gives numpy arrays."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service
class Model:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL_PATH"])

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML is not installed where types are checked
    def predict(self, features: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = self.model.predict_proba(features)
        return probabilities
