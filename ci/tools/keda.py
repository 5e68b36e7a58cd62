"""Builds KEDA for `ci/test full`: the operator, the metrics API server, and the manifest that installs both.

Apart from extra.py, so that a change here builds nothing else anew. KEDA's own go.mod pins what it needs."""

import json
from pathlib import Path

from ci import python
from ci.cache import CACHE, key, unfinished
from ci.run import output, run
from ci.tools.build import ENVIRONMENT, SOURCES, go
from ci.tools.build import folder as tools

PINNED = SOURCES / "custom-kinds"  # its go.mod has KEDA's version, its go.sum the hash
MODULE = "github.com/kedacore/keda/v2"
PROGRAMS = ["operator", "adapter"]


def folder() -> Path:
    """Where the programs and `keda.yaml` are, or will be."""
    return CACHE / "tools" / f"keda-{key(PINNED / 'go.mod', PINNED / 'go.sum', Path(__file__))}"


def build() -> None:
    """Compiles the programs; a finished result is left alone."""
    if folder().exists():
        return
    work = unfinished(folder())
    environment = {**ENVIRONMENT, **python.path_with(go())}
    source = json.loads(output(["go", "mod", "download", "-json", MODULE], cwd=PINNED, env=environment))["Dir"]
    options = ["-gcflags=all=-dwarf=false", "-ldflags=-s -w", "-o", f"{work}/"]
    run(["go", "build", *options, *(f"./cmd/{program}" for program in PROGRAMS)], cwd=source, env=environment)
    kubectl = tools("kube") / "kubectl"
    (work / "keda.yaml").write_text(output([kubectl, "kustomize", f"{source}/config/minimal"]))  # without webhooks
    work.rename(folder())
