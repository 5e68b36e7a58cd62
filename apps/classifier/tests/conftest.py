from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from apps.classifier.service import ClassifierService
from apps.classifier.settings import ClassifierSettings
from apps.classifier.tests import forests, tables
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
    with serving(artifact) as client:
        yield client


@pytest.fixture(scope="session")
def iris(tmp_path_factory) -> Iterator[TestClient]:
    """The service with a forest of three species on natural values, ready."""
    with serving(tables.publish_iris(tmp_path_factory.mktemp("iris"))) as client:
        yield client


@pytest.fixture(scope="session")
def diabetes(tmp_path_factory) -> Iterator[TestClient]:
    """The service with a regressor of ten features without names, ready."""
    with serving(tables.publish_diabetes(tmp_path_factory.mktemp("diabetes"))) as client:
        yield client


@pytest.fixture(scope="session")
def mixed(tmp_path_factory) -> Iterator[TestClient]:
    """The service with a forest on rows of mixed kinds, some of them missing, ready."""
    with serving(tables.publish_mixed(tmp_path_factory.mktemp("mixed"))) as client:
        yield client


@pytest.fixture
def serve() -> Iterator[Callable[[Path], TestClient]]:
    """Return a function that returns the service with an artifact, ready."""
    with ExitStack() as stack:
        yield lambda artifact: stack.enter_context(serving(artifact))


@contextmanager
def serving(artifact: Path, **settings: Any) -> Iterator[TestClient]:
    """Start the service with an artifact, in this process."""
    app = create_app(ClassifierService(), ClassifierSettings(model_path=str(artifact), **settings))
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(startup.load, app.state.runtime)
        yield client
