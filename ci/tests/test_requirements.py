"""The locks of the images follow pyproject.toml, and hold for both architectures."""

import os
import re
import shutil
import tomllib

import pytest

from ci import images, python, requirements
from ci.cache import CHECKOUT
from ci.run import Failed

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
LOCKS = {image: (requirements.FOLDER / f"{image}.txt").read_text() for image in images.IMAGES}


def test_the_locks_and_pyproject_name_the_same_versions():
    mistakes = requirements.mistakes(requirements.FOLDER, PROJECT)
    assert not mistakes, "\n".join([*mistakes, f"`{requirements.COMMAND}` mends the locks."])


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(requirements.FOLDER, tmp_path / "locks")


@pytest.mark.parametrize(
    ("pin", "changed", "mistake"),
    [
        ("pillow==13.0.0", "pillow==13.0.1", "classifier.txt: pillow is 13.0.0, pyproject.toml has 13.0.1."),
        ("pillow==13.0.0", "requests==3.0.0", "classifier.txt: requests is missing, pyproject.toml has 3.0.0."),
        ("pillow==13.0.0", "requests==3.0.0", "classifier.txt: pillow is 13.0.0, pyproject.toml has none."),
    ],
)
def test_a_pin_that_was_changed_added_or_removed_is_told(folder, pin, changed, mistake):
    pins = [changed if requirement == pin else requirement for requirement in _pins("classifier")]
    assert mistake in requirements.mistakes(folder, _project(classifier=pins))


def test_a_package_that_becomes_a_direct_dependency_at_its_locked_version_is_told(folder):
    version = requirements.locked(LOCKS["lm"])["safetensors"]
    mistakes = requirements.mistakes(folder, _project(lm=[*_pins("lm"), f"safetensors=={version}"]))
    assert mistakes == [f"lm.txt: safetensors is {version}, pyproject.toml has {version}."]


def test_a_lock_with_cudas_torch_and_a_lock_that_is_missing_are_told(folder):
    (folder / "lm.txt").write_text(LOCKS["lm"].replace("+cpu", ""))
    (folder / "classifier.txt").unlink()
    mistakes = requirements.mistakes(folder, PROJECT)
    assert "lm.txt: torch is 2.13.0, which is not the CPU build (…+cpu)." in mistakes
    assert "classifier.txt: numpy is missing, pyproject.toml has 2.4.6." in mistakes


@pytest.mark.parametrize("image", LOCKS)
def test_every_package_has_a_hash_and_none_is_cudas(image):
    blocks = re.split(r"\n(?=[a-z])", LOCKS[image])[1:]
    assert [name for name in requirements.locked(LOCKS[image]) if name.startswith(("nvidia", "cuda", "triton"))] == []
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("image", LOCKS)
def test_a_lock_names_no_address(image):
    assert "://" not in LOCKS[image] and "--index" not in LOCKS[image] and "--find-links" not in LOCKS[image]


def test_torchs_lock_holds_for_both_architectures():
    (block,) = re.findall(r"^torch==.*(?:\n    --hash=.*)+", LOCKS["lm"], re.MULTILINE)
    assert block.count("--hash=sha256:") >= 2  # the wheels for x86_64 and aarch64


def test_the_image_installs_only_what_is_locked():
    install = re.search(r"pip install (.*?)&&", (CHECKOUT / "apps/Dockerfile").read_text(), re.DOTALL)
    assert install and {"--require-hashes", "--only-binary=:all:"} <= set(install[1].split())
    assert install[1].split()[-1:] == ["\\"] and "--requirement requirements.txt" in install[1]


def test_without_a_source_of_torch_nothing_is_locked_and_the_remedy_names_both(machine):
    with pytest.raises(Failed, match="torch's CPU build is needed") as failure:
        requirements.write(None, upgrade=False)
    assert "--torch-index URL" in failure.value.remedy and "PIP_FIND_LINKS" in failure.value.remedy


@pytest.fixture
def uv(machine, monkeypatch, tmp_path):
    """A uv that writes what `outputs` has for each lock, and the locks in a folder of their own."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for image, text in LOCKS.items():
        (outputs / f"{image}.txt").write_text(text)
    copy = f"case $word in --output-file=*) /bin/cp {outputs}/${{word#*=}} . ;; esac"
    machine.script("uv", f"/bin/cp pyproject.toml {outputs}; for word; do {copy}; done")
    monkeypatch.setattr(python, "uv", lambda: machine.bin / "uv")
    monkeypatch.setattr(requirements, "FOLDER", tmp_path / "locks")
    return outputs


def test_torch_that_is_not_the_cpus_leaves_the_locks_as_they_were(uv):
    requirements.write("https://torch.example", upgrade=False)
    assert {path.stem: path.read_text() for path in requirements.FOLDER.iterdir()} == LOCKS
    (uv / "lm.txt").write_text(LOCKS["lm"].replace("+cpu", "+cu130"))
    with pytest.raises(Failed, match=r"lm.txt: torch is 2.13.0\+cu130, which is not the CPU build"):
        requirements.write("https://torch.example", upgrade=False)
    assert {path.stem: path.read_text() for path in requirements.FOLDER.iterdir()} == LOCKS


@pytest.mark.parametrize(
    ("index", "folder", "url", "layout"),
    [("https://torch.example", "/wheels", "https://torch.example", "simple"), (None, "/wheels", "/wheels", "flat")],
)
def test_torch_and_nothing_else_comes_from_its_index_or_else_from_the_folder(uv, index, folder, url, layout):
    os.environ["PIP_FIND_LINKS"] = folder
    requirements.write(index, upgrade=False)
    settings = tomllib.loads((uv / "pyproject.toml").read_text())["tool"]["uv"]
    assert settings["sources"] == {"torch": {"index": "torch"}}
    assert settings["index"] == [{"name": "torch", "url": url, "explicit": True, "format": layout}]


def _pins(extra: str) -> list[str]:
    return PROJECT["optional-dependencies"][extra]


def _project(**extras: list[str]) -> dict:
    return {**PROJECT, "optional-dependencies": PROJECT["optional-dependencies"] | extras}
