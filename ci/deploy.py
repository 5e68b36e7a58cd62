"""Installs both releases with helmfile and asks them whether they serve."""

import json
import urllib.request
from collections.abc import Mapping

from ci import images
from ci.cache import CHECKOUT
from ci.cluster import control_plane, layout
from ci.run import Failed, output, run

NAMESPACE = "inference"


def apply(environment: Mapping[str, str]) -> None:
    """`helmfile apply`: only a release whose values, chart or image changed is touched."""
    run(["helmfile", "apply", "--suppress-diff"], cwd=CHECKOUT, env=environment, timeout=900)


def test(environment: Mapping[str, str]) -> None:
    """`helm test` of both releases."""
    for app in images.APPS:
        run(["helm", "test", f"{app}-service", "--namespace", NAMESPACE, "--logs"], env=environment, timeout=300)


def remove(environment: Mapping[str, str]) -> None:
    """Removes the two releases, where they are installed, and nothing else."""
    said = output(["helm", "list", "--namespace", NAMESPACE, "--all", "--output", "json"], env=environment)
    installed = {release["name"] for release in json.loads(said)}
    for app in images.APPS:
        if f"{app}-service" in installed:
            run(["helm", "uninstall", f"{app}-service", "--namespace", NAMESPACE, "--wait"], env=environment)


def forget_images() -> None:
    """Removes from the node the images that no rollback could bring back: Kubernetes keeps no ReplicaSet with them."""
    said = control_plane.kubectl("get", "replicasets", "--all-namespaces", "--output=jsonpath={..image}")
    images.forget({name if "/" in name else f"docker.io/library/{name}" for name in said.split()})


def answers() -> None:
    """Both services answer on 127.0.0.1 as ready."""
    for app in images.APPS:
        served(app)


def served(app: str) -> dict[str, str]:
    """The identity of the model that the app's service says it serves."""
    url = f"http://127.0.0.1:{layout.NODE_PORTS[app]}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["model"]
    except OSError as error:
        raise Failed(f"{url}: {error}") from error


def summary() -> str:
    """One line a service: its address, model and image."""
    lines = []
    for app in images.APPS:
        url, model = f"http://127.0.0.1:{layout.NODE_PORTS[app]}", served(app)
        model = f"{model['name']} {model['version']}, sha256 {model['sha256'][:12]}…"
        lines.append(f"  {url}  {model}; image {images.sizes(app)}")
    return "\n".join(lines)
