"""Builds what only `ci/test full` needs: Helm 3, the types of Prometheus' and KEDA's objects, Prometheus, the policy
scanners kube-score and checkov, and Kubernetes' own autoscaler to compare loadgen's restatement with.

Apart from build.py, so that a change here does not build Kubernetes anew."""

from pathlib import Path

from ci import python
from ci.cache import CACHE, key, unfinished
from ci.run import run
from ci.tools.build import ENVIRONMENT, KUBERNETES, SOURCES, go

# Program -> its module here and its package. Helm 3 is in Helm 4's module already, where helmfile needs it.
PROGRAMS = {
    "helm3": ("helm", "helm.sh/helm/v3/cmd/helm"),
    "custom-kinds": ("custom-kinds", "."),
    "kube-score": ("kube-score", "github.com/zegl/kube-score/cmd/kube-score"),
    "autoscaler": ("autoscaler", "."),
}
CAPABILITIES = "helm.sh/helm/v3/pkg/chartutil.k8sVersion"  # what Helm 3 renders for where it asks no cluster
LINKED = f"-X {CAPABILITIES}Major=1 -X {CAPABILITIES}Minor={KUBERNETES.split('.')[1]}"


def folder(program: str) -> Path:
    """Where the program is, or will be."""
    return CACHE / "tools" / f"{program}-{key(SOURCES / PROGRAMS[program][0], Path(__file__))}"


def build(program: str) -> None:
    """Compiles one program; a finished result is left alone."""
    result = folder(program)
    if result.exists():
        return
    module, package = PROGRAMS[program]
    work = unfinished(result)
    environment = {**ENVIRONMENT, **python.path_with(go())}
    options = ["-gcflags=all=-dwarf=false", f"-ldflags=-s -w {LINKED}", "-o", f"{work}/"]
    run(["go", "build", *options, package], cwd=SOURCES / module, env=environment)
    work.rename(result)


def checkov() -> Path:
    """The program of PyPI's policy scanner, installed if need be in an environment of its own."""
    result = CACHE / "checkov-3.3.30"
    if not (result / "complete").exists():
        python.create(result, ["checkov==3.3.30"])
    return result / "bin/checkov"


def prometheus(program: str) -> Path:
    """Prometheus' server, or promtool, out of Debian's package; installed, that would start a server."""
    result = CACHE / "tools" / "prometheus"
    if not result.exists():
        work = unfinished(result)
        run(["apt-get", "update", "--quiet"])
        run(["apt-get", "download", "--quiet", "prometheus"], cwd=work)
        run(["dpkg-deb", "--extract", next(work.glob("*.deb")), work])
        work.rename(result)
    return result / "usr/bin" / program
