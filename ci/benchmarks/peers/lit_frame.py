"""LitServe's hooks for a pipeline that takes a frame of pandas."""

# LitServe is not installed where types are checked, and takes annotations for the types of request and response.
# mypy: disable-error-code="misc, no-untyped-def"

import os

import joblib
import litserve
import pandas as pd


class Model(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load(os.environ["MODEL_PATH"])

    def decode_request(self, request):
        return pd.DataFrame([request["features"]])

    def predict(self, frame):
        return self.model.predict_proba(frame)[0]

    def encode_response(self, probabilities):
        best = probabilities.argmax()
        return {"label": str(self.model.classes_[best]), "probability": float(probabilities[best])}


if __name__ == "__main__":
    litserve.LitServer(Model(), accelerator="cpu").run(port=int(os.environ["PORT"]), generate_client_file=False)
