"""`--cluster current` speaks with the tools on PATH: here programs that note how they were called."""

import os
from pathlib import Path

import pytest

from ci import current
from ci.run import Failed


class Machine:
    """A PATH of its own with programs that print what they are told to, and a note of every call."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.note = folder / "bin", folder / "calls"
        self.bin.mkdir()
        self.note.touch()

    def program(self, name: str, says: str = "", status: int = 0) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\necho {name} \"$@\" >> {self.note}\ncat <<'END'\n{says}\nEND\nexit {status}\n")
        path.chmod(0o755)

    def calls(self) -> list[str]:
        return self.note.read_text().splitlines()


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    made = Machine(tmp_path)
    for name in ("sh", "cat"):
        (made.bin / name).symlink_to(f"/bin/{name}")
    monkeypatch.setattr(os, "environ", {**os.environ, "PATH": str(made.bin)})
    return made


def test_every_missing_or_old_tool_is_told_at_once(machine):
    machine.program("kubectl", "Client Version: v1.20.0")
    machine.program("helmfile", "helmfile version 0.144.0")
    with pytest.raises(Failed) as failure:
        current.tools()
    assert failure.value.what.splitlines()[1:] == [
        "- kubectl is 'Client Version: v1.20.0'; 1.28 or newer is needed",
        "- helm is not on PATH; 3.17 or newer, or 4 is needed",
        "- helmfile is 'helmfile version 0.144.0'; 1.x is needed",
        "- helm is not on PATH; any (helm plugin install) is needed",
    ]


def test_a_docker_client_without_an_engine_is_no_engine(machine):
    machine.program("docker", status=1)
    with pytest.raises(Failed, match="docker on PATH, but no engine answers"):
        current.engine()


def test_the_engine_that_runs_is_taken(machine):
    machine.program("docker", status=1)
    machine.program("podman")
    assert current.engine() == "podman"


@pytest.mark.parametrize(
    ("cluster", "command"),
    [
        ("kind-dev", "kind load docker-image lm-service:v1-x --name dev"),
        ("minikube", "minikube image load lm-service:v1-x --profile minikube"),
    ],
)
def test_images_reach_kind_and_minikube_by_their_own_commands(machine, monkeypatch, cluster, command):
    for name in ("docker", "kind", "minikube"):
        machine.program(name)
    monkeypatch.setattr(current.images, "tags", lambda app: [f"{app}-service:v1-x"])
    current.build("lm", "docker", "https://index.example/cpu", current.transport(cluster, "docker", None))
    built = next(call for call in machine.calls() if call.startswith("docker build"))
    arguments = "--build-arg APP=lm --build-arg EXTRA=lm --build-arg PIP_EXTRA_INDEX_URL=https://index.example/cpu"
    assert f"{arguments} --tag lm-service:v1-x" in built
    assert machine.calls()[-1] == command


def test_another_cluster_needs_a_registry_and_the_option_is_named(machine):
    with pytest.raises(Failed) as failure:
        current.transport("prod", "docker", None)
    assert "cannot be brought to it" in failure.value.what
    assert "--registry HOST/PATH" in failure.value.remedy


def test_a_registry_gets_the_image_and_the_chart_its_name(machine, monkeypatch):
    machine.program("docker")
    monkeypatch.setattr(current.images, "tags", lambda app: [f"{app}-service:v1-x"])
    way = current.transport("prod", "docker", "registry.example.com/team/")
    current.build("lm", "docker", None, way)
    assert machine.calls()[-1] == "docker push registry.example.com/team/lm-service:v1-x"
    assert way.prefix == "registry.example.com/team/"


def test_down_removes_the_installed_releases_and_nothing_else(machine):
    machine.program("kubectl", "somewhere")
    machine.program("helm", '[{"name": "lm-service"}, {"name": "other"}]')
    current.down()
    changes = [call for call in machine.calls() if not call.startswith(("helm list", "kubectl config"))]
    assert changes == ["helm uninstall lm-service --namespace inference --wait"]
