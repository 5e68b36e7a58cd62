"""Builds container images with buildah, in a store of our own."""

import functools
import os
import shutil
from pathlib import Path

from ci.cache import CACHE, CHECKOUT, key, unfinished
from ci.run import output, run, succeeds

# kube-proxy needs iptables, so the node's Debian is also the base of the Kubernetes image.
DEBIAN = {
    "python": ["python3", "python3-venv", "ca-certificates"],
    "node": ["containerd", "runc", "containernetworking-plugins", "iptables", "conntrack", "iproute2"],
}
APPS = ["classifier", "lm"]
OPENVINO, ONNX = "lm-openvino", "classifier-onnx"
VARIANTS = {OPENVINO: "openvino", ONNX: "onnx"}  # the same apps on other engines; built only if a model needs them
IMAGES = [*APPS, *VARIANTS]
BUILDAH = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
RUNROOT = Path("/run/inference-service/buildah")
BASE_IMAGE = os.environ.get("BASE_IMAGE", "python:3.11-slim")  # of docker and podman, which take it from a registry
# Of an app's image and the files that it adds, so that equal inputs give equal layers. Not of the base: Debian's
# bytecode is valid for the sources' own times only, and Python would compile its library at each start.
TIMESTAMP = ["--timestamp", "0"]
PIP_SECRET = ["--secret", "id=pip,env=PIP_CONF"]  # in the form of buildah, podman and docker's buildx
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def archive(debian: str) -> Path:
    """The path of the root file system of a minimal Debian with some packages; it may not exist yet."""
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
    """Removes the containers and mounts of builds that were killed."""
    if (CACHE / "buildah").exists() and shutil.which("buildah"):
        succeeds(buildah("rm", "--all"), env=BUILDAH, timeout=60)
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in reversed(mounted):
        if path.startswith((f"{CACHE}/buildah/", f"{RUNROOT}/")):
            succeeds(["umount", "--lazy", path])
    shutil.rmtree(RUNROOT.parent, ignore_errors=True)


def built(name: str) -> bool:
    return succeeds(buildah("inspect", "--type=image", name), env=BUILDAH)


def _identity(name: str) -> str:
    return output(buildah("inspect", "--type=image", "--format", "{{.FromImageID}}", name), env=BUILDAH)


def _digest(name: str) -> str:
    """The digest of an image's manifest."""
    return output(buildah("inspect", "--type=image", "--format", "{{.FromImageDigest}}", name), env=BUILDAH).strip()


def base(debian: str) -> str:
    """The name of the image of an archive, which is made unless it exists."""
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


@functools.cache  # all steps of a run use the same tag, even if a source changes meanwhile
def tags(image: str) -> list[str]:
    """The names of an image: one with the hash of its inputs, for rollbacks, and `v1`; of a variant `v1-<engine>`."""
    app, _, engine = image.partition("-")
    parts = ["Dockerfile", f"requirements/{image}.txt", "serving", app]
    version = f"v1-{engine}" if engine else "v1"
    inputs = key(
        BASE_IMAGE,
        *DEBIAN["python"],
        *sorted((CHECKOUT / "models").glob("*.py")),
        *(CHECKOUT / "apps" / p for p in parts),
    )
    return [f"{app}-service:{version}-{inputs}", f"{app}-service:{version}"]


def app_built(image: str) -> bool:
    """Whether both names of the image belong to an image built from the present sources."""
    name, latest = app_names(image)
    return built(name) and built(latest) and _identity(name) == _identity(latest)


def app_names(image: str) -> list[str]:
    return [f"docker.io/library/{tag}" for tag in tags(image)]


def app_arguments(image: str) -> list[str]:
    """The build arguments that select the image in `apps/Dockerfile`."""
    return ["--build-arg", f"APP={image.partition('-')[0]}", "--build-arg", f"EXTRA={image}"]


def build_app(image: str, torch_index: str | None) -> None:
    """Builds one app's image, unless its inputs were built before."""
    name, latest = app_names(image)
    if not built(name):
        own_base = base("python")
        options = ["--build-arg", f"BASE_IMAGE={own_base}", *app_arguments(image), *TIMESTAMP, *PIP_SECRET, *_mounts()]
        options += ["--label", f"org.opencontainers.image.base.digest={_digest(own_base)}"]
        words = buildah("build", "--layers", "--file", CHECKOUT / "apps/Dockerfile", *options, "--tag", name, CHECKOUT)
        run(words, env={**BUILDAH, **pip_secret(torch_index, "/mnt")})
    run(buildah("tag", name, latest), env=BUILDAH)


def _mounts() -> list[str]:
    """Mounts for the build, so that pip in it reaches the same indexes and wheels as pip on this machine."""
    mounts = {str(CERTIFICATES): str(CERTIFICATES)} if CERTIFICATES.exists() else {}
    links = os.environ.get("PIP_FIND_LINKS", "")
    mounts |= {os.path.abspath(links): "/mnt"} if os.path.isdir(links) else {}
    return [word for path, inside in mounts.items() for word in ("--volume", f"{path}:{inside}:ro")]


def pip_secret(torch_index: str | None, mounted: str = "") -> dict[str, str]:
    """The variable that `PIP_SECRET` names: pip's settings as a file. An index may need a password, which a build
    argument would leave in the image's history.

    `torch_index` goes before the environment's own extra index; `mounted` is where the build sees a folder of wheels.
    """
    names = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL", "timeout": "PIP_DEFAULT_TIMEOUT"}
    settings = {key: os.environ.get(name, "") for key, name in names.items()}
    settings["extra-index-url"] = torch_index or settings["extra-index-url"]
    links = os.environ.get("PIP_FIND_LINKS", "")
    settings["find-links"] = mounted if os.path.isdir(links) else links
    lines = [f"{key} = {' '.join(value.split())}" for key, value in settings.items() if value]
    return {"PIP_CONF": "\n".join(["[global]", *lines])}


def names() -> list[str]:
    """The names of the images in the store."""
    return output(buildah("images", "--format", "{{.Name}}:{{.Tag}}"), env=BUILDAH).split()


def sizes(app: str) -> str:
    """The unpacked sizes of the app's image and of its base, as buildah prints them."""
    words = (buildah("images", "--format", "{{.Size}}", name) for name in (app_names(app)[0], base("python")))
    whole, base_size = (output(w, env=BUILDAH).split("\n")[0] for w in words)
    return f"{whole} on a base of {base_size}"
