"""The digit that the README posts."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from starlette.testclient import TestClient

from apps.classifier.service import ClassifierService
from apps.classifier.settings import ClassifierSettings
from apps.classifier.tests import digit
from apps.serving import startup
from apps.serving.app import create_app

TRAINED = Path(__file__).parents[3] / "models" / "mnist_rf_v1.joblib"
PNG = {"content-type": "image/png"}


def test_the_file_is_the_drawing():
    with Image.open(io.BytesIO(digit.FILE.read_bytes())) as picture:
        difference = ImageChops.difference(picture.convert("L"), digit.draw().convert("L"))
    assert difference.getextrema() == (0, 0), "python -m apps.classifier.tests.digit draws it again"
    assert digit.FILE.stat().st_size < 1000


def test_any_forest_classifies_it(client):
    response = client.post("/predict/image", content=digit.FILE.read_bytes(), headers=PNG)
    assert response.status_code == 200, response.text


@pytest.mark.skipif(not TRAINED.exists(), reason="models/mnist_rf_v1.joblib is not trained")
def test_the_trained_forest_recognises_a_seven():
    app = create_app(ClassifierService(), ClassifierSettings(model_path=str(TRAINED)))
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(startup.load, app.state.runtime)
        response = client.post("/predict/image", content=digit.FILE.read_bytes(), headers=PNG)
        assert response.json()["label"] == "7", response.text
