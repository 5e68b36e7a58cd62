"""KEDA and a Prometheus in the local cluster, in images made here, until the end of a `with` block."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ci import images
from ci.cache import key
from ci.cluster import node, node_images
from ci.e2e.cluster import Workspace
from ci.run import succeeds
from ci.tools import extra, keda

KEDA = {  # image in KEDA's manifest -> program, and its path in the image
    "ghcr.io/kedacore/keda": ("operator", "/keda"),
    "ghcr.io/kedacore/keda-metrics-apiserver": ("adapter", "/keda-adapter"),
}
EXTERNAL_METRICS = "apiservice/v1beta1.external.metrics.k8s.io"
PROMETHEUS = "http://prometheus.monitoring:9090"


@contextmanager
def running_keda(workspace: Workspace) -> Iterator[None]:
    """KEDA as its own manifest installs it, without the webhooks."""
    keda.build()
    names = {name: _image(keda.folder() / program, path) for name, (program, path) in KEDA.items()}
    manifest = [_local(one, names) for one in yaml.safe_load_all((keda.folder() / "keda.yaml").read_text())]
    with _applied(workspace, yaml.safe_dump_all(manifest), *names.values()):
        for name in ("keda-operator", "keda-metrics-apiserver"):
            _rolled_out(workspace, name, "keda")
        workspace.kubectl("wait", EXTERNAL_METRICS, "--for=condition=Available", "--timeout=120s")
        yield


@contextmanager
def running_prometheus(workspace: Workspace, app: str) -> Iterator[None]:
    """Debian's Prometheus at `PROMETHEUS`; it scrapes the app's pods every 5 s."""
    image = _image(extra.prometheus("prometheus"), "/prometheus", images.base("python"))
    manifest = Path(__file__).with_name("prometheus.yaml").read_text()
    for name, text in {"IMAGE": image, "NAMESPACE": workspace.namespace, "RELEASE": f"{app}-service"}.items():
        manifest = manifest.replace(name, text)
    with _applied(workspace, manifest, image):
        _rolled_out(workspace, "prometheus", "monitoring")
        yield


@contextmanager
def _applied(workspace: Workspace, manifest: str, *loaded: str) -> Iterator[None]:
    """The manifest's objects, until they and the images that they run are removed."""
    try:
        apply = ("kubectl", "apply", "--server-side", "--force-conflicts", "--filename=-")  # KEDA's kinds are large
        workspace.run(*apply, input=manifest)
        yield
    finally:
        remove = ("kubectl", "delete", "--filename=-", "--ignore-not-found", "--timeout=120s")
        workspace.run(*remove, input=manifest)
        succeeds(node.command("ctr", "--namespace=k8s.io", "images", "remove", *loaded), timeout=60)
        succeeds(images.buildah("rmi", *loaded), env=images.BUILDAH, timeout=60)


def _rolled_out(workspace: Workspace, name: str, namespace: str) -> None:
    workspace.run("kubectl", "rollout", "status", f"deployment/{name}", f"--namespace={namespace}", "--timeout=240s")


def _image(program: Path, path: str, base: str = "scratch") -> str:
    """Builds an image of one program, which does not run as root, and loads it into the node."""
    name = f"localhost/{program.name}:{key(program)}"
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(program, context)
        images.build(name, f"FROM {base}\nCOPY {program.name} {path}\nUSER 1000:1000\n", Path(context))
    node_images.load(name)
    return name


def _local(one: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """An object of KEDA's manifest; a Deployment with the image in the node, and without webhooks to patch."""
    if one["kind"] == "Deployment":
        (container,) = one["spec"]["template"]["spec"]["containers"]
        container |= {"image": names[container["image"].partition(":")[0]], "imagePullPolicy": "Never"}
        if container["name"] == "keda-operator":
            container["args"].append("--enable-webhook-patching=false")
    return one
