"""pip gets the password of a package index inside a build, and the image does not contain it."""

import os
import re
from pathlib import Path

import pytest

from ci import current, images
from ci.cache import CHECKOUT

INDEX = "https://user:secret@index.example/simple"
BUILDS = """case "$*" in
*FromImageDigest*) echo sha256:ba5e ;; *inspect*) exit 1 ;; *Dockerfile*) printf %s "$PIP_CONF" >$0.conf ;; esac"""


@pytest.fixture
def build(machine):
    """Builds the language model's image with an engine; returns its calls and what pip was configured by."""

    def build(engine: str, torch_index: str | None = None, **environment: str) -> tuple[list[str], str]:
        machine.script(engine, BUILDS)
        os.environ.update(environment)
        if engine == "buildah":
            images.build_app("lm", torch_index)
        else:
            current.build("lm", engine, torch_index, current.Transport([]))
        return machine.calls(), (machine.bin / f"{engine}.conf").read_text()

    return build


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_pips_settings_reach_a_build_as_a_secret_and_never_as_an_argument(build, engine):
    settings = {"PIP_INDEX_URL": INDEX, "PIP_EXTRA_INDEX_URL": f"{INDEX}/a\n{INDEX}/b", "PIP_DEFAULT_TIMEOUT": "180"}
    calls, conf = build(engine, PIP_FIND_LINKS=f"{INDEX}/wheels", **settings)
    assert conf.splitlines() == [
        "[global]",
        f"index-url = {INDEX}",
        f"extra-index-url = {INDEX}/a {INDEX}/b",
        "timeout = 180",
        f"find-links = {INDEX}/wheels",
    ]
    assert any("--secret id=pip,env=PIP_CONF" in call for call in calls)
    assert not any("secret@" in call or "PIP_INDEX" in call for call in calls)


def test_torchs_index_goes_before_the_environments_own_extra_index(build):
    _, conf = build("docker", "https://torch.example", PIP_EXTRA_INDEX_URL=INDEX)
    assert conf.splitlines() == ["[global]", "extra-index-url = https://torch.example"]


def test_a_folder_of_wheels_is_mounted_where_pip_looks(build, tmp_path):
    calls, conf = build("buildah", PIP_FIND_LINKS=str(tmp_path))
    assert "find-links = /mnt" in conf
    assert any(f"--volume {tmp_path}:/mnt:ro" in call for call in calls)


@pytest.mark.parametrize(("engine", "times"), [("docker", 0), ("podman", 1), ("buildah", 1)])
def test_engines_that_can_give_all_files_one_time(build, engine, times):
    calls, _ = build(engine)
    assert sum("--timestamp 0 " in call and "Dockerfile" in call for call in calls) == times


def test_the_image_names_its_base_and_the_bases_digest(build, monkeypatch):
    calls, _ = build("buildah")
    (built,) = (call for call in calls if "Dockerfile" in call and "FROM" not in call)
    assert f"--build-arg BASE_IMAGE={images.base('python')} " in built
    assert "--label org.opencontainers.image.base.digest=sha256:ba5e " in built
    assert "LABEL org.opencontainers.image.base.name=${BASE_IMAGE}" in (CHECKOUT / "apps/Dockerfile").read_text()


def test_a_base_by_digest_reaches_the_build_and_changes_the_tag(build, monkeypatch):
    base = f"python:3.11-slim@sha256:{'0' * 64}"
    images.tags.cache_clear()
    tag = images.tags("lm")[0]
    monkeypatch.setattr(images, "BASE_IMAGE", base)
    images.tags.cache_clear()
    calls, _ = build("docker")
    assert any(f"--build-arg BASE_IMAGE={base} " in call and f"--tag {tag}" not in call for call in calls)
    images.tags.cache_clear()


def test_the_dockerfile_has_no_argument_for_pip_and_every_install_sees_the_secret():
    text = re.sub(r"\\\n", "", Path(CHECKOUT / "apps/Dockerfile").read_text())
    instructions = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert not [line for line in instructions if re.match(r"(ARG|ENV)\b.*PIP_", line)]
    installs = [line for line in instructions if "pip install" in line]
    assert installs
    for line in installs:
        assert line.startswith("RUN --mount=type=secret,id=pip ") and "PIP_CONFIG_FILE=/run/secrets/pip " in line
