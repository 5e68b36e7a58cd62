from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from apps.classifier.service import ClassifierService
from apps.classifier.settings import ClassifierSettings
from apps.classifier.tests import forests
from apps.serving import startup
from apps.serving.app import create_app


@pytest.fixture(scope="session")
def digits():
    """A fitted scikit-learn forest over 784 features."""
    return forests.digits_forest()


@pytest.fixture(scope="session")
def artifact(digits, tmp_path_factory) -> Path:
    """The same, published."""
    return forests.publish(digits, tmp_path_factory.mktemp("models") / "tiny_v1.joblib")


@pytest.fixture(scope="session")
def client(artifact) -> Iterator[TestClient]:
    """The service with that forest, ready."""
    app = create_app(ClassifierService(), ClassifierSettings(model_path=str(artifact)))
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(startup.load, app.state.runtime)
        yield client
