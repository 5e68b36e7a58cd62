from collections.abc import Callable, Iterator

import httpx
import pytest
from starlette.testclient import TestClient

from apps.serving import startup
from apps.serving.app import create_app
from apps.serving.tests.toy import ToyService, ToySettings


@pytest.fixture
def starting() -> Iterator[TestClient]:
    """A client of a toy service whose model is not loaded."""
    with TestClient(create_app(ToyService(), ToySettings())) as client:
        yield client


@pytest.fixture
def client(starting) -> TestClient:
    """A client of a ready toy service."""
    starting.portal.call(startup.load, starting.app.state.runtime)
    return starting


@pytest.fixture
def toy() -> Callable:
    """Return a function that makes a ready toy service from settings: its async client (close it), and its runtime."""

    async def make(**settings):
        app = create_app(ToyService(), ToySettings(**settings))
        await startup.load(app.state.runtime)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://toy"), app.state.runtime

    return make
