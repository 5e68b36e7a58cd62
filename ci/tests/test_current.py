"""`--cluster current` uses the tools on PATH: here programs that log how they were called."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci import current, deploy, images
from ci.cluster import layout
from ci.run import Failed


def test_all_missing_and_old_tools_are_reported_at_once(machine):
    machine.program("kubectl", "Client Version: v1.20.0")
    machine.program("helmfile", "helmfile version 0.144.0")
    with pytest.raises(Failed) as failure:
        current.tools()
    assert failure.value.problem.splitlines()[1:] == [
        "- kubectl is 'Client Version: v1.20.0'; 1.28 or newer is needed",
        "- helm is not on PATH; 3.17 or newer, or 4 is needed",
        "- helmfile is 'helmfile version 0.144.0'; 1.x is needed",
        "- helm is not on PATH; any (helm plugin install) is needed",
    ]


@pytest.mark.parametrize("helmfile", ["helmfile version v1.8.0", "helmfile version 1.2.0"])
@pytest.mark.parametrize(
    ("helm", "diff"), [("v4.3.1+g1234567", "diff\t3.13.0\tcli/v1"), ("v3.19.0+gabc", "diff\t3.12.3")]
)
def test_versions_are_read_from_the_output_of_each_known_build(machine, helmfile, helm, diff):
    machine.program("kubectl", "Client Version: v1.35.4\nKustomize Version: v5.7.1")
    machine.program("helmfile", helmfile)
    machine.script("helm", f"""[ "$1" = version ] && echo '{helm}' || printf 'NAME VERSION\\n{diff}\\n'""")
    current.tools()


def test_kind_with_podman_needs_a_registry(machine):
    machine.program("kind")
    with pytest.raises(Failed, match="the engine that runs is podman"):
        current.transport("kind-dev", "podman", None)


def test_a_docker_client_whose_engine_does_not_run_is_refused(machine):
    machine.program("docker", status=1)
    with pytest.raises(Failed, match="docker on PATH, but no engine answers"):
        current.engine()


def test_the_running_engine_is_used(machine):
    machine.program("docker", status=1)
    machine.program("podman")
    assert current.engine() == "podman"


@pytest.mark.parametrize(
    ("cluster", "command"),
    [
        ("kind-dev", "kind load docker-image {image} --name dev"),
        ("minikube", "minikube image load {image} --profile minikube"),
    ],
)
def test_images_are_loaded_into_kind_and_minikube_by_their_own_commands(machine, cluster, command):
    for name in ("docker", "kind", "minikube"):
        machine.program(name)
    current.build("lm", "docker", None, current.transport(cluster, "docker", None))
    built = next(call for call in machine.calls() if call.startswith("docker build"))
    arguments = "--build-arg APP=lm --build-arg EXTRA=lm --secret id=pip,env=PIP_CONF"
    names = images.tags("lm")
    assert f"{arguments} --tag {names[0]} --tag {names[1]}" in built
    assert machine.calls()[-2:] == [command.format(image=name) for name in names]


def test_any_other_cluster_needs_a_registry_and_the_remedy_names_the_option(machine):
    with pytest.raises(Failed) as failure:
        current.transport("prod", "docker", None)
    assert "cannot be brought to it" in failure.value.problem
    assert "--registry HOST/PATH" in failure.value.remedy


def test_images_are_pushed_to_the_registry_and_the_chart_uses_its_name(machine):
    machine.program("docker")
    transport = current.transport("prod", "docker", "registry.example.com/team/")
    current.build("lm", "docker", None, transport)
    pushed = [call for call in machine.calls() if call.startswith("docker push")]
    assert pushed == [f"docker push registry.example.com/team/{name}" for name in images.tags("lm")]
    assert transport.prefix == "registry.example.com/team/"


LOCAL = {"KUBECONFIG": str(layout.KUBECONFIG)}
NOW = datetime.now(UTC)
LISTED = "helm list --pending --namespace inference --output json --time-format 2006-01-02T15:04:05Z07:00"


HISTORIES = {  # the upgrade before the one that is pending failed
    "classifier-service": [{"revision": 1, "status": "pending-install"}],
    "lm-service": [
        {"revision": 1, "status": "superseded"},
        {"revision": 2, "status": "deployed"},
        {"revision": 3, "status": "failed"},
        {"revision": 4, "status": "pending-upgrade"},
    ],
}


@pytest.fixture
def pending(machine, monkeypatch, tmp_path):
    """Makes helm list releases as pending: name, revision and minutes since the change began."""
    monkeypatch.setattr(deploy, "PROCESSES", tmp_path / "proc")
    machine.program("helmfile")

    def set_pending(*releases: tuple[str, int, int]) -> None:
        names = ("name", "revision", "status", "updated")
        rows = [(n, str(r), "pending-upgrade", f"{NOW - timedelta(minutes=m):%FT%TZ}") for n, r, m in releases]
        listed = json.dumps([dict(zip(names, row, strict=True)) for row in rows])
        history = {name: json.dumps(entries) for name, entries in HISTORIES.items()}
        cases = "".join(f"\"helm history {name}\"*) echo '{text}' ;; " for name, text in history.items())
        machine.script("helm", f"case \"helm $*\" in {cases}*) echo '{listed}' ;; esac")

    return set_pending


def add_process(folder: Path, name: str) -> None:
    """Writes the files that the kernel has in /proc for a process."""
    (folder / "proc" / "77").mkdir(parents=True)
    (folder / "proc" / "77" / "comm").write_text(f"{name}\n")


CALLS_THAT_END_CHANGES = [
    LISTED,
    "helm history classifier-service --namespace inference -o json",
    "helm uninstall classifier-service --namespace inference",
    "helm history lm-service --namespace inference -o json",
    "helm rollback lm-service 2 --namespace inference",
    "helmfile apply --suppress-diff",
]


def test_changes_pending_for_over_an_hour_are_ended_and_other_releases_are_not_touched(machine, pending, tmp_path):
    pending(("classifier-service", 1, 90), ("lm-service", 4, 90), ("somebody-elses", 2, 90))
    add_process(tmp_path, "helm")
    deploy.apply({})
    assert machine.calls() == CALLS_THAT_END_CHANGES


def test_on_the_local_cluster_pending_changes_are_ended_at_once_if_no_helm_runs(machine, pending, tmp_path):
    pending(("classifier-service", 1, 0), ("lm-service", 4, 0))
    add_process(tmp_path, "sleep")
    deploy.apply(LOCAL)
    assert machine.calls() == CALLS_THAT_END_CHANGES


@pytest.mark.parametrize(
    ("cluster", "process"),
    [({}, "sleep"), (LOCAL, "helm"), (LOCAL, "helmfile")],
)
def test_nothing_is_changed_while_another_helm_may_be_changing_a_release(machine, pending, tmp_path, cluster, process):
    pending(("classifier-service", 7, 90), ("lm-service", 4, 30))
    add_process(tmp_path, process)
    with pytest.raises(Failed) as failure:
        deploy.apply(cluster)
    since = f"{NOW - timedelta(minutes=30):%F %T} UTC"
    assert (
        failure.value.problem
        == f"another helm may be changing lm-service (pending-upgrade since {since}): nothing was changed"
    )
    assert "`helm rollback NAME REVISION --namespace inference`" in failure.value.remedy
    assert machine.calls() == [LISTED]


def test_down_removes_the_installed_releases_and_nothing_else(machine):
    machine.program("kubectl", "somewhere")
    # As Helm 4 does, it refuses options that it does not know; only one of the two releases is installed.
    machine.script("helm", 'case "$*" in *--all*|"status classifier-service"*) exit 1 ;; esac')
    current.down()
    changes = [call for call in machine.calls() if call.startswith(("helm uninstall", "helm rollback"))]
    assert changes == ["helm uninstall lm-service --namespace inference --wait"]
