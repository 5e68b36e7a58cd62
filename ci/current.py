"""Installs the services in the cluster of kubectl's current context, with the tools on PATH. Compiles nothing, needs
neither root nor Linux, and changes only namespace `inference` of that cluster."""

import functools
import os
import re
import shutil
from dataclasses import dataclass

from ci import deploy, environment, images, models, python
from ci.cache import CHECKOUT
from ci.run import Failed, output, run, succeeds
from ci.steps import Step, run_steps

# Program -> the command that prints its version, and the versions tested with this chart and helmfile.
TOOLS = {
    "kubectl": (["kubectl", "version", "--client"], r"v1\.(2[89]|[3-9]\d)\.", "1.28 or newer"),
    "helm": (["helm", "version", "--short"], r"v(3\.(1[7-9]|[2-9]\d)|4)\.", "3.17 or newer, or 4"),
    "helmfile": (["helmfile", "--version"], r"version v?1\.\d+", "1.x"),
    "helm-diff": (["helm", "plugin", "list"], r"(?m)^diff\s+\S*\d", "any (helm plugin install)"),
}
ENGINES = ["docker", "podman"]


@dataclass
class Transport:
    """How images reach a cluster: commands for each name of a local image, and the prefix of its name there."""

    commands: list[list[str]]
    prefix: str = ""


def tools() -> None:
    """Raises Failed with every tool that is missing or too old."""
    problems = []
    for name, (command, pattern, versions) in TOOLS.items():
        if not shutil.which(command[0]):
            problems.append(f"{command[0]} is not on PATH; {versions} is needed")
            continue
        try:
            printed = output(command, timeout=30).strip()
        except Failed as failure:
            problems.append(f"{name} does not print its version: {failure.problem}")
            continue
        if not re.search(pattern, printed):
            problems.append(f"{name} is {(printed or 'not installed').splitlines()[0]!r}; {versions} is needed")
    if problems:
        remedy = "Install them, or let ci/up without --cluster current build all of it (Linux, root)."
        raise Failed("\n".join(["nothing was changed, because", *(f"- {p}" for p in dict.fromkeys(problems))]), remedy)


def context() -> str:
    if not shutil.which("kubectl"):
        raise Failed("kubectl is not on PATH", "Install it: its current context selects the cluster.")
    try:
        return output(["kubectl", "config", "current-context"], timeout=30).strip()
    except Failed as failure:
        raise Failed(
            "kubectl has no current context", "`kubectl config use-context NAME` picks a cluster."
        ) from failure


def engine() -> str:
    """The name of a container engine that answers; a client on PATH is not enough."""
    for name in ENGINES:
        if shutil.which(name) and succeeds([name, "info"], timeout=30):
            return name
    clients = [name for name in ENGINES if shutil.which(name)]
    reason = (
        f"{' and '.join(clients)} on PATH, but no engine answers" if clients else "neither docker nor podman on PATH"
    )
    raise Failed(f"no container engine builds the images here: {reason}", "Start one (`docker info` must succeed).")


def transport(cluster: str, engine_name: str, registry: str | None) -> Transport:
    """How to bring images to this cluster. `{image}` stands for an image's name."""
    if registry:
        target = f"{registry.rstrip('/')}/{{image}}"
        return Transport(
            [[engine_name, "tag", "{image}", target], [engine_name, "push", target]], f"{registry.rstrip('/')}/"
        )
    if engine_name != "docker":
        raise Failed(
            f"kind, minikube and docker-desktop take images from docker, and the engine that runs is {engine_name}",
            "Start docker, or name a registry: ci/up --cluster current --registry HOST/PATH",
        )
    if cluster.startswith("kind-"):
        if not shutil.which("kind"):
            raise Failed(f"context {cluster!r} is kind's, and kind is not on PATH", "Install it: it brings the images.")
        return Transport([["kind", "load", "docker-image", "{image}", "--name", cluster.removeprefix("kind-")]])
    if _is_minikube(cluster):
        return Transport([["minikube", "image", "load", "{image}", "--profile", cluster]])
    if cluster == "docker-desktop":
        return Transport([])  # its nodes share the engine's images
    raise Failed(
        f"context {cluster!r} is neither minikube, kind nor docker-desktop: images built here cannot be brought to it",
        "Name a registry that it pulls from: ci/up --cluster current --registry HOST/PATH",
    )


def _is_minikube(cluster: str) -> bool:
    return bool(shutil.which("minikube")) and succeeds(["minikube", "status", "--profile", cluster], timeout=30)


def build(app: str, engine_name: str, torch_index: str | None, delivery: Transport) -> None:
    """Builds one app's image with the engine and brings it to the cluster."""
    names = images.tags(app)
    options = ["--build-arg", f"BASE_IMAGE={images.BASE_IMAGE}", *images.app_arguments(app), *images.PIP_SECRET]
    options += images.TIMESTAMP if engine_name == "podman" else []  # docker has no such option
    options += [word for name in names for word in ("--tag", name)]
    build_command = [engine_name, "build", "--file", CHECKOUT / "apps/Dockerfile", *options, CHECKOUT]
    run(build_command, env=images.pip_secret(torch_index))
    for name in names:
        for command in delivery.commands:
            run([word.replace("{image}", name) for word in command])


CALLS = """
Both services are up. Call them:

  kubectl -n inference port-forward service/classifier-service 8000:8000 &
  kubectl -n inference port-forward service/lm-service 8100:8000 &
  curl -s http://127.0.0.1:8000/healthz
  curl -s http://127.0.0.1:8100/healthz"""


def up(registry: str | None, torch_index: str | None) -> bool:
    """Runs every step from the Python environment to `helm test`; returns whether all of them succeeded."""
    tools()
    cluster = context()
    engine_name = engine()
    delivery = transport(cluster, engine_name, registry)
    variables = {**environment.image_tags(), "HELMFILE_ENVIRONMENT": "default"}
    if delivery.prefix:
        variables["IMAGE_REGISTRY"] = delivery.prefix.rstrip("/")
    folder = os.environ.get("MODELS_DIR", "/models")
    print(f"Into context {cluster}, images by {engine_name}, models from its nodes' {folder}:")
    print("README, 'minikube' and 'kind', explains how this checkout's models folder gets there.")
    variants = models.selected_variants()
    artifacts, names = models.steps(variants), (*images.APPS, *variants)
    return run_steps(
        [
            Step("python", functools.partial(python.install, torch_index), (), python.ready),
            *artifacts,
            *(Step(f"image {a}", functools.partial(build, a, engine_name, torch_index, delivery)) for a in names),
            Step(
                "helmfile apply",
                functools.partial(deploy.apply, variables),
                (*(s.name for s in artifacts), *(f"image {a}" for a in names)),
            ),
            Step("helm test", functools.partial(deploy.test, variables), ("helmfile apply",)),
        ]
    )


def down() -> None:
    """Removes the two releases from the current context's cluster."""
    if not shutil.which("helm"):
        raise Failed("helm is not on PATH", "Install it: the releases are Helm's.")
    print(f"Removing both releases from context {context()}, namespace {deploy.NAMESPACE}.")
    deploy.remove({})
