"""A BentoML service: a class with one endpoint that takes a frame of pandas as records."""

import os
from typing import Annotated

import bentoml
import joblib
import numpy as np
import pandas as pd
from bentoml.validators import DataframeSchema


@bentoml.service
class Model:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL_PATH"])

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML is not installed where types are checked
    def predict(self, rows: Annotated[pd.DataFrame, DataframeSchema(orient="records")]) -> np.ndarray:
        probabilities: np.ndarray = self.model.predict_proba(rows)
        return probabilities
