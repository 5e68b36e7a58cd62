from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from apps.lm.service import LanguageModelService
from apps.lm.settings import LanguageModelSettings
from apps.lm.tests import tiny
from apps.serving import startup
from apps.serving.app import create_app


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A published model folder of each family."""
    return {
        family: tiny.publish(tiny.save(family, tmp_path_factory.mktemp("models") / f"tiny-{family}_v1"))
        for family in tiny.FAMILIES
    }


@pytest.fixture(scope="session")
def load() -> Callable:
    """Load a folder as the service does; keywords are settings."""

    def load(folder: Path, **settings):
        service = LanguageModelService()
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("HF_HUB_OFFLINE", "")  # `load` sets both for its process
            environment.setenv("OMP_NUM_THREADS", "")
            model = service.load(LanguageModelSettings(model_name=str(folder), **settings))
        service.warm_up(model)
        return model

    return load


@pytest.fixture(scope="session", params=sorted(tiny.FAMILIES))
def model(request, folders, load):
    """A loaded model, once of each family."""
    return load(folders[request.param], max_total_tokens=tiny.CONTEXT)


@contextmanager
def serving(folder: Path, **settings) -> Iterator[TestClient]:
    app = create_app(LanguageModelService(), LanguageModelSettings(model_name=str(folder), **settings))
    with TestClient(app) as client, pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_HUB_OFFLINE", "")
        environment.setenv("OMP_NUM_THREADS", "")
        client.portal.call(startup.load, app.state.runtime)
        yield client


@pytest.fixture(scope="session")
def client(folders) -> Iterator[TestClient]:
    """A ready service with a budget of 40 tokens."""
    with serving(folders["gpt2"], max_total_tokens=40) as client:
        yield client
