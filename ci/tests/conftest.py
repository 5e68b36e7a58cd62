"""Fixtures of several tests of ci/."""

import os

import pytest

from ci.tests.machine import Machine


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    created = Machine(tmp_path)
    for name in ("sh", "cat"):
        (created.bin / name).symlink_to(f"/bin/{name}")
    monkeypatch.setattr(os, "environ", {"PATH": str(created.bin)})
    return created
