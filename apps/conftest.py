"""What the tests of both services share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium, for the tests of a page; `asyncio.run` fails in the same file afterwards."""
    from apps.serving.tests.browser import chromium  # playwright takes a fifth of a second

    with chromium() as browser:
        yield browser
