"""Fixtures of the chart's tests."""

from functools import cache

import kubernetes_validate
import pytest


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_read_once():
    """Cache the schemas: the library reads megabytes of definitions for each object."""
    utils = kubernetes_validate.utils
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield
