"""Copies images from buildah's store to the node's, and removes from both those that nothing can use."""

from ci import images
from ci.cache import CACHE, key
from ci.cluster import node
from ci.run import run, succeeds


def names() -> list[str]:
    """The names of the images in the node."""
    return _images("list", "--quiet").split()


def loaded(name: str) -> bool:
    return name in names()


def load(name: str, *aliases: str) -> None:
    """Copies an image from buildah's store to the node's, unless it is there, under its own name and others."""
    if not loaded(name):
        # docker-archive is not compressed: half the time of oci-archive.
        exported = CACHE / f"{key(name)}.tar"
        exported.unlink(missing_ok=True)
        try:
            run(images.buildah("push", "--quiet", name, f"docker-archive:{exported}:{name}"), env=images.BUILDAH)
            _images("import", f"/host{exported.resolve()}")
        finally:
            exported.unlink(missing_ok=True)
    for alias in aliases:
        _images("tag", "--force", name, alias)


def app_loaded(image: str) -> bool:
    """Whether the node has the image of the present sources under both names."""
    digests = {line.split()[0]: line.split()[2] for line in _images("list").splitlines()[1:]}
    name, latest = images.app_names(image)
    return name in digests and digests[name] == digests.get(latest)


def load_app(image: str) -> None:
    name, latest = images.app_names(image)
    load(name, latest)


def forget(used: set[str]) -> None:
    """Removes the apps' images that are neither in `used` nor built from the present sources, from node and store."""
    keep = used.union(*(images.app_names(image) for image in images.IMAGES))
    repositories = tuple(f"docker.io/library/{app}-service:v1-" for app in images.APPS)

    def unused(present: list[str]) -> list[str]:
        return [name for name in present if name.startswith(repositories) and name not in keep]

    if removed := unused(names()):
        _images("remove", *removed)
    if removed := unused(images.names()):  # those that a removed node had too
        succeeds(images.buildah("rmi", *removed), env=images.BUILDAH, timeout=300)
    succeeds(images.buildah("rmi", "--prune"), env=images.BUILDAH, timeout=60)  # stages of builds, which have no name


def _images(*words: str) -> str:
    """Runs a command of containerd's about images, and returns its output."""
    return node.inside("ctr", "--namespace=k8s.io", "images", *words)
