import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from starlette.testclient import TestClient

from apps.lm.model import LanguageModel
from apps.lm.service import LanguageModelService
from apps.lm.settings import LanguageModelSettings
from apps.lm.tests import tiny
from apps.serving import startup
from apps.serving.app import create_app
from apps.serving.runtime import Runtime
from apps.serving.tests.processes import ROOT
from models.registry import manifest_path

SHIPPED = "smollm2-135m-instruct"


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A published model folder of each family."""
    return {
        family: tiny.publish(tiny.save(family, tmp_path_factory.mktemp("models") / f"tiny-{family}_v1"))
        for family in tiny.FAMILIES
    }


@pytest.fixture
def folder(folders, tmp_path) -> Path:
    """A published folder that the test may change."""
    copy = tmp_path / folders["gpt2"].name
    shutil.copytree(folders["gpt2"], copy)
    shutil.copy(manifest_path(folders["gpt2"]), manifest_path(copy))
    return copy


def make_shipped(folder: Path, **engines: str) -> Path:
    """Return the folder with these versions of the shipped model: this checkout's if it has them, or make `folder`."""
    if all((ROOT / "models" / f"{SHIPPED}_{version}.json").exists() for version in engines):
        return ROOT / "models"
    for version, engine in engines.items():
        words = ["lm", "--engine", engine, "--version-id", f"{SHIPPED}_{version}", "--models-dir", str(folder)]
        subprocess.run([sys.executable, "-m", "training", *words], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="session")
def shipped(tmp_path_factory) -> Path:
    """The folder of the shipped model for torch."""
    return make_shipped(tmp_path_factory.mktemp("models"), v1="transformers") / f"{SHIPPED}_v1"


@pytest.fixture(scope="session")
def openai() -> ModuleType:
    """OpenAI's client. It takes a second to import, and ci/check runs no test with it."""
    return import_module("openai")


@contextmanager
def loading_environment() -> Iterator[None]:
    """Undo the changes of the environment that loading a model makes for its process."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_HUB_OFFLINE", "")
        environment.setenv("OMP_NUM_THREADS", "")
        yield


@pytest.fixture(scope="session")
def load() -> Callable[..., LanguageModel]:
    """Load a folder as the service does; keywords are settings."""

    def load(folder: Path, **settings) -> LanguageModel:
        service = LanguageModelService()
        with loading_environment():
            model = service.load(LanguageModelSettings(model_name=str(folder), **settings))
        service.warm_up(model)
        return model

    return load


@pytest.fixture(scope="session", params=sorted(tiny.FAMILIES))
def model(request, folders, load) -> LanguageModel:
    """A loaded model, once of each family."""
    return load(folders[request.param], max_total_tokens=tiny.CONTEXT)


@contextmanager
def serving(folder: Path, service: LanguageModelService | None = None, **settings) -> Iterator[TestClient]:
    """A client of a ready service in this process; keywords are settings."""
    app = create_app(service or LanguageModelService(), LanguageModelSettings(model_name=str(folder), **settings))
    with TestClient(app) as client, loading_environment():
        portal_of(client).call(startup.load, app.state.runtime)
        yield client


def runtime_in(client: TestClient) -> Runtime:
    """The runtime of the service behind `client`."""
    assert isinstance(client.app, FastAPI)
    runtime: Runtime = client.app.state.runtime
    return runtime


def portal_of(client: TestClient) -> BlockingPortal:
    """Runs coroutines in the event loop of the service behind `client`."""
    assert client.portal
    return client.portal


@pytest.fixture(scope="session")
def client(folders) -> Iterator[TestClient]:
    """A ready service with a budget of 40 tokens."""
    with serving(folders["gpt2"], max_total_tokens=40) as client:
        yield client
