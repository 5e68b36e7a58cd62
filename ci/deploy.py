"""Installs both releases with helmfile and asks them whether they serve."""

import json
import urllib.request
from collections.abc import Mapping

from ci import images
from ci.cache import CHECKOUT
from ci.cluster import control_plane, layout
from ci.run import Failed, output, run, succeeds

NAMESPACE = "inference"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would look for 127.0.0.1 on itself


def apply(environment: Mapping[str, str]) -> None:
    """`helmfile apply`: only a release whose values, chart or image changed is touched."""
    _settle(environment)
    run(["helmfile", "apply", "--suppress-diff"], cwd=CHECKOUT, env=environment, timeout=900)


def _settle(environment: Mapping[str, str]) -> None:
    """Ends what a killed helm had begun: while a release is pending, Helm refuses every other change of it."""
    listed = ["helm", "list", "--pending", "--namespace", NAMESPACE, "--output", "json"]
    ours = {f"{app}-service" for app in images.APPS}
    for release in json.loads(output(listed, env=environment)):
        if release["name"] not in ours:
            continue
        change = "uninstall" if release["revision"] == "1" else "rollback"
        run(["helm", change, release["name"], "--namespace", NAMESPACE], env=environment)


def test(environment: Mapping[str, str]) -> None:
    """`helm test` of both releases."""
    for app in images.APPS:
        run(["helm", "test", f"{app}-service", "--namespace", NAMESPACE, "--logs"], env=environment, timeout=300)


def remove(environment: Mapping[str, str]) -> None:
    """Removes the two releases, where they are installed, and nothing else."""
    run(["helm", "list", "--namespace", NAMESPACE], env=environment)  # fails where the cluster does not answer
    for app in images.APPS:
        release = [f"{app}-service", "--namespace", NAMESPACE]
        if succeeds(["helm", "status", *release], env=environment, timeout=60):
            run(["helm", "uninstall", *release, "--wait"], env=environment)


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
        with DIRECT.open(url, timeout=10) as answer:
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
