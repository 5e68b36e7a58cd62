"""Runs helm and helmfile for the tests of the chart, and reads the objects that they render."""

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]  # a Kubernetes object as parsed YAML; its fields depend on its `kind`
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "inference-service"
APPS = ("classifier", "lm")
ENVIRONMENTS = ("default", "local", "test", "production")
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}  # not in the schemas of Kubernetes
# Keeps this machine's cluster, models and tags out of the tests.
NEUTRAL = {
    "KUBECONFIG": os.devnull,
    "MODELS_DIR": "",
    "CLASSIFIER_IMAGE_TAG": "",
    "LM_IMAGE_TAG": "",
    "LM_OPENVINO_IMAGE_TAG": "",
    "CLASSIFIER_ONNX_IMAGE_TAG": "",
    "IMAGE_REGISTRY": "",
    "HELMFILE_ENVIRONMENT": "",
}


class MissingTool(Exception):
    """A program that lane `chart` needs is not on PATH."""


def run(
    *command: str | Path, cwd: Path = ROOT, input: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program and return its outcome, whatever its exit status. Raises MissingTool if it is not on PATH."""
    if shutil.which(str(command[0])) is None:
        raise MissingTool(
            f'{command[0]} is not on PATH. `ci/test chart` and `ci/up` build it; by hand: eval "$(ci/env)"'
        )
    environment = os.environ | NEUTRAL | variables
    return subprocess.run(command, cwd=cwd, env=environment, input=input, capture_output=True, text=True)


def succeed(*command: str | Path, cwd: Path = ROOT, input: str | None = None, **variables: str) -> str:
    """Run a program that must exit 0; return its standard output."""
    done = run(*command, cwd=cwd, input=input, **variables)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def objects(text: str) -> list[Object]:
    """Return the Kubernetes objects in a stream of YAML."""
    return [document for document in yaml.safe_load_all(text) if document]


def template(*arguments: str | Path, release: str = "r") -> list[Object]:
    """Render the chart by helm alone."""
    return objects(succeed("helm", "template", release, CHART, "--namespace=inference", *arguments))


@cache
def checkout() -> Path:
    """A copy of the helmfile and the chart, with manifests of the models that the values name."""
    folder = Path(tempfile.mkdtemp(prefix="checkout-"))
    atexit.register(shutil.rmtree, folder)
    copy_helmfile(folder)
    for app in APPS:
        model = yaml.safe_load((CHART / f"values-{app}.yaml").read_text())["model"]
        publish(folder, model["name"], model["version"], "0" * 64)
    return folder


def copy_helmfile(folder: Path) -> None:
    """Copy the helmfile and the charts into `folder`, with an empty folder of models."""
    shutil.copy(ROOT / "helmfile.yaml.gotmpl", folder)
    shutil.copytree(ROOT / "charts", folder / "charts")
    (folder / "models").mkdir()


def publish(folder: Path, name: str, version: str, sha256: str, **members: str) -> None:
    """Write a model's manifest into a checkout."""
    manifest = {"name": name, "version": version, "sha256": sha256, "probes": [], **members}
    (folder / "models" / f"{name}_{version}.json").write_text(json.dumps(manifest))


@cache
def helmfile(environment: str, *arguments: str, root: Path | None = None, **variables: str) -> list[Object]:
    """Render both releases of an environment with the helmfile in `root` (default: `checkout()`)."""
    command = ("helmfile", "--quiet", "--environment", environment, *arguments, "template")
    return objects(succeed(*command, cwd=root or checkout(), **variables))


def readme_yaml(title: str) -> list[str]:
    """The YAML examples in a section of the chart's README."""
    section = (CHART / "README.md").read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [textwrap.dedent(text) for text in re.findall(r"^ *```yaml\n(.*?)^ *```", section, re.M | re.S)]


def of_kind(rendered: list[Object], kind: str) -> dict[str, Object]:
    """Return the objects of `kind` by name."""
    return {document["metadata"]["name"]: document for document in rendered if document["kind"] == kind}


def container(rendered: list[Object], release: str) -> Object:
    """Return the serving container of a release."""
    serving: Object = of_kind(rendered, "Deployment")[release]["spec"]["template"]["spec"]["containers"][0]
    return serving
