"""Builds container images with buildah and hands them to the cluster. Its store is our own, not the machine's."""

import functools
import os
import shutil
from pathlib import Path

from ci.cache import CACHE, CHECKOUT, key, unfinished
from ci.cluster import node
from ci.run import output, run, succeeds

# kube-proxy needs iptables, so the node's own Debian is the base of the Kubernetes image too.
DEBIAN = {
    "python": ["python3", "python3-venv", "ca-certificates"],
    "node": ["containerd", "runc", "containernetworking-plugins", "iptables", "conntrack", "iproute2"],
}
APPS = ["classifier", "lm"]
BUILDAH = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
RUNROOT = Path("/run/inference-service/buildah")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def archive(debian: str) -> Path:
    """Where the root file system of a minimal Debian with some packages is, or will be."""
    return CACHE / "debian" / f"{debian}-{key('bookworm', *DEBIAN[debian])}" / "root.tar"


def make_archive(debian: str) -> None:
    result = archive(debian)
    if result.exists():
        return
    work = unfinished(result.parent)
    packages = ",".join(DEBIAN[debian])
    run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", work / "root.tar"])
    work.rename(result.parent)


def buildah(*words: object) -> list[object]:
    return ["buildah", "--root", CACHE / "buildah", "--runroot", RUNROOT, *words]


def forget_builds() -> None:
    """Ends what a build that was killed left behind: its containers and their mounts."""
    if (CACHE / "buildah").exists() and shutil.which("buildah"):
        run(buildah("rm", "--all"), env=BUILDAH)
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in reversed(mounted):
        if path.startswith((f"{CACHE}/buildah/", f"{RUNROOT}/")):
            run(["umount", "--lazy", path])
    shutil.rmtree(RUNROOT.parent, ignore_errors=True)


def built(name: str) -> bool:
    return succeeds(buildah("inspect", "--type=image", name), env=BUILDAH)


def _identity(name: str) -> str:
    return output(buildah("inspect", "--type=image", "--format", "{{.FromImageID}}", name), env=BUILDAH)


def base(debian: str) -> str:
    """The image of an archive, made if need be."""
    name = f"localhost/debian-{debian}:{key('bookworm', *DEBIAN[debian])}"
    if not built(name):
        build(
            name,
            f"FROM scratch\nADD root.tar /\nCMD {'python3' if debian == 'python' else 'pause'}\n",
            archive(debian).parent,
        )
    return name


def build(name: str, dockerfile: str, context: Path) -> None:
    run(buildah("build", "--quiet", "--file", "-", "--tag", name, context), env=BUILDAH, input=dockerfile)


@functools.cache  # one run speaks of one image, also when a source changes meanwhile
def tags(app: str) -> list[str]:
    """The names of an app's image: by the hash of its inputs, which a rollback finds again, and `v1`."""
    parts = ["Dockerfile", "serving", app]
    inputs = key(
        *DEBIAN["python"],
        CHECKOUT / "pyproject.toml",
        *(CHECKOUT / "models").glob("*.py"),
        *(CHECKOUT / "apps" / p for p in parts),
    )
    return [f"{app}-service:v1-{inputs}", f"{app}-service:v1"]


def app_built(app: str) -> bool:
    """Whether both names of the image stand for what the sources say now."""
    name, latest = app_names(app)
    return built(name) and built(latest) and _identity(name) == _identity(latest)


def app_names(app: str) -> list[str]:
    return [f"docker.io/library/{tag}" for tag in tags(app)]


def build_app(app: str, torch_index: str | None) -> None:
    """Builds one app's image, unless its inputs were built before."""
    name, latest = app_names(app)
    if not built(name):
        options = ["--build-arg", f"BASE={base('python')}", "--build-arg", f"APP={app}", *_package_sources(torch_index)]
        dockerfile = CHECKOUT / "apps/Dockerfile"
        run(buildah("build", "--layers", "--file", dockerfile, *options, "--tag", name, CHECKOUT), env=BUILDAH)
    run(buildah("tag", name, latest), env=BUILDAH)


def _package_sources(torch_index: str | None) -> list[str]:
    """What pip inside a build needs to reach what pip outside reaches."""
    found: list[str] = []
    if CERTIFICATES.exists():
        found += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
    links = os.environ.get("PIP_FIND_LINKS", "")
    if os.path.isdir(links):
        found += ["--volume", f"{os.path.abspath(links)}:/mnt:ro", "--build-arg", "PIP_FIND_LINKS=/mnt"]
    if torch_index:
        found += ["--build-arg", f"PIP_EXTRA_INDEX_URL={torch_index}"]
    for name in ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT"):
        if name in os.environ:
            found += ["--build-arg", f"{name}={os.environ[name]}"]
    return found


def in_node() -> list[str]:
    return node.inside("ctr", "--namespace=k8s.io", "images", "list", "--quiet").split()


def loaded(name: str) -> bool:
    return name in in_node()


def forget(used: set[str]) -> None:
    """Removes from the node the apps' images that are neither `used` nor what the sources make now."""
    keep = used.union(*(app_names(app) for app in APPS))
    repositories = tuple(f"docker.io/library/{app}-service:v1-" for app in APPS)
    if unused := [name for name in in_node() if name.startswith(repositories) and name not in keep]:
        node.inside("ctr", "--namespace=k8s.io", "images", "remove", *unused)


def load(name: str, *aliases: str) -> None:
    """Copies an image from buildah's store to the node's, unless it is there, under its own name and others."""
    if not loaded(name):
        # docker-archive is not compressed: half the time of oci-archive.
        exported = CACHE / f"{key(name)}.tar"
        exported.unlink(missing_ok=True)
        run(buildah("push", "--quiet", name, f"docker-archive:{exported}:{name}"), env=BUILDAH)
        node.inside("ctr", "--namespace=k8s.io", "images", "import", f"/host{exported}")
        exported.unlink()
    for alias in aliases:
        node.inside("ctr", "--namespace=k8s.io", "images", "tag", "--force", name, alias)


def app_loaded(app: str) -> bool:
    """Whether the node has the image that the sources make, and knows it as `v1` too."""
    listed = node.inside("ctr", "--namespace=k8s.io", "images", "list").splitlines()
    digests = {line.split()[0]: line.split()[2] for line in listed[1:]}
    name, latest = app_names(app)
    return name in digests and digests[name] == digests.get(latest)


def load_app(app: str) -> None:
    name, latest = app_names(app)
    load(name, latest)


def sizes(app: str) -> str:
    """The unpacked sizes of the app's image and of its base, as buildah words them."""
    words = (buildah("images", "--format", "{{.Size}}", name) for name in (app_names(app)[0], base("python")))
    whole, below = (output(w, env=BUILDAH).split("\n")[0] for w in words)
    return f"{whole} on a base of {below}"
