"""Kubernetes on the node: kubeadm's control plane, CoreDNS, metrics-server, and the file that kubectl reads."""

import shutil
from pathlib import Path

from ci import images
from ci.cache import key
from ci.cluster import certificates, init, layout, node, node_images
from ci.run import Failed, output, run, succeeds
from ci.tools import build

KUBECONFIG = {"KUBECONFIG": str(layout.KUBECONFIG)}
PROGRAMS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "pause"]


def kubectl(*words: object, input: str | None = None, timeout: float = 60) -> str:
    return output([build.folder("kube") / "kubectl", *words], env=KUBECONFIG, input=input, timeout=timeout)


def made_by() -> str:
    """The key of the cluster's inputs; if it changes, a new cluster is needed."""
    programs = [build.folder("kube").name, images.archive("node").parent.name]
    return key(layout.MANIFESTS, Path(init.__file__), *programs, str(layout.FORWARDED_PORTS))


def ready() -> bool:
    """Whether the node runs, Kubernetes reports the node, CoreDNS and metrics-server as ready, and no certificate ends
    soon."""
    if not _made_by_us() or node.first_process() is None:
        return False
    kubectl_path = build.folder("kube") / "kubectl"
    check = [kubectl_path, "--request-timeout=3s", "get", "--raw", "/readyz"]
    if not succeeds(check, env=KUBECONFIG):
        return False
    node_ready = [kubectl_path, "wait", "--for=condition=Ready", f"node/{layout.NAME}", "--timeout=3s"]
    addons = [kubectl_path, "-n", "kube-system", "wait", "--for=condition=Available", "--timeout=3s"]
    addons += ["deployment/coredns", "deployment/metrics-server"]
    available = succeeds(node_ready, env=KUBECONFIG) and succeeds(addons, env=KUBECONFIG)
    return available and not certificates.end_soon()


def _made_by_us() -> bool:
    return layout.INITIALISED.exists() and layout.INITIALISED.read_text() == made_by()


def up() -> None:
    """Makes the cluster, or restarts the existing one: after a reboot or a crash, and to renew its certificates."""
    layout.STATE.mkdir(parents=True, exist_ok=True)
    if layout.INITIALISED.exists() and not _made_by_us():
        raise Failed(
            "the cluster on this machine was made by another version of ci/",
            "`ci/down` removes it, with what is installed in it; models and caches stay. Then run this again.",
        )
    if not layout.INITIALISED.exists():
        node.end()  # an interrupted first start leaves an incomplete node
        shutil.rmtree(layout.NODE, ignore_errors=True)
    elif certificates.end_soon():
        certificates.renew()
        _write_kubeconfig()
        node.restart(certificates.READERS)  # the services' pods go on
    if node.first_process() is None:
        node.unpack(images.archive("node"), build.folder("kube"))
        node.boot()
    _images()
    if not layout.INITIALISED.exists():
        _initialise()
    try:
        _wait()
    except Failed:
        node.boot()  # a reboot of the node can help where restarts of single services did not
        _wait()


def _images() -> None:
    tools = build.folder("kube")
    kube = f"localhost/kube:{build.KUBERNETES}-{tools.name}"
    _image(kube, _kube_dockerfile(), tools)
    names = node.inside("kubeadm", "config", "images", "list", "--config=/etc/kubeadm/kubeadm.yaml").split()
    coredns = next(name for name in names if "coredns" in name)
    node_images.load(kube, *(name for name in names if name != coredns))
    for name, program in ((coredns, "coredns"), ("localhost/metrics-server:v0.9.0", "metrics-server")):
        _image(name, f'FROM scratch\nCOPY {program} /{program}\nENTRYPOINT ["/{program}"]\n', tools)
        node_images.load(name)


def _image(name: str, dockerfile: str, context: Path) -> None:
    if not node_images.loaded(name) and not images.built(name):
        images.build(name, dockerfile, context)


def _kube_dockerfile() -> str:
    links = " && ".join(f"ln -s kube /usr/local/bin/{name}" for name in PROGRAMS)
    return f'FROM {images.base("node")}\nCOPY kube /usr/local/bin/kube\nRUN {links}\nCMD ["pause"]\n'


def _initialise() -> None:
    # Preflight would fail: this node lacks some services and kernel files, and cannot resolve its own name.
    skipped = "--skip-phases=preflight,addon/coredns"
    run(node.command("kubeadm", "init", "--config=/etc/kubeadm/kubeadm.yaml", skipped), timeout=240)
    _write_kubeconfig()
    kubectl("apply", "-f", "-", input=_coredns())
    kubectl("apply", "-f", layout.MANIFESTS / "metrics-server.yaml")
    layout.INITIALISED.write_text(made_by())


def _write_kubeconfig() -> None:
    admin = (layout.NODE / "etc/kubernetes/admin.conf").read_text()
    layout.KUBECONFIG.touch(mode=0o600)
    layout.KUBECONFIG.write_text(
        admin.replace(f"https://{layout.ADDRESS}:6443", f"https://127.0.0.1:{layout.API_PORT}")
    )


def _coredns() -> str:
    """kubeadm's CoreDNS, with one replica and without forwarding, because the node has no outside network."""
    words = "kubeadm init phase addon coredns --print-manifest --config=/etc/kubeadm/kubeadm.yaml"
    _, _, manifest = node.inside(*words.split()).partition("---")  # kubeadm first prints lines about its patches
    lines, forwarding = [], False
    for line in manifest.splitlines():
        forwarding = forwarding or line.strip().startswith("forward .")
        if not forwarding and line.strip() not in ("loop", 'resourceVersion: "0"'):
            lines.append(line.replace("replicas: 2", "replicas: 1").replace("cpu: 100m", "cpu: 10m"))
        forwarding = forwarding and line.strip() != "}"
    return "\n".join(lines)


def _wait() -> None:
    node.wait_for("Kubernetes and its own pods to be ready", ready, 150, layout.NODE / "var/log/kubelet.log")
