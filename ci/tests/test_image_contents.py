"""Equal inputs give equal layers, and an image contains nothing of pip's settings: really built, twice."""

import base64
import http.server
import json
import os
import shutil
import tarfile
import threading
from pathlib import Path

import pytest

from ci import images
from ci.cache import CACHE, CHECKOUT
from ci.run import output, run

PASSWORD = "s3cret-of-the-index"

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("buildah") or not images.archive("python").exists(),
        reason="needs root, buildah and the base of ci/up",
    ),
]


@pytest.fixture
def index():
    """A package index without packages, on 127.0.0.1; yields its address with a password, and who asked it."""
    names: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            names.append(base64.b64decode((self.headers["Authorization"] or "").partition(" ")[2]).decode())
            if names[-1]:
                self.send_error(404)
            else:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://ci:{PASSWORD}@127.0.0.1:{server.server_port}/simple", names
        server.shutdown()


@pytest.fixture
def machines(monkeypatch, tmp_path):
    """Selects one of two machines: each has a store of its own with the same base, and a checkout at another path, with
    other times and modes."""
    folders = [tmp_path / "first", tmp_path / "second" / "deeper"]
    for folder in folders:
        folder.mkdir(parents=True)

    def select(folder: Path) -> None:
        (folder / "cache").mkdir(exist_ok=True)
        if not (folder / "cache/debian").exists():
            (folder / "cache/debian").symlink_to(CACHE / "debian")
        monkeypatch.setattr(images, "CACHE", folder / "cache")
        monkeypatch.setattr(images, "RUNROOT", folder / "run/buildah")
        monkeypatch.setattr(images, "CHECKOUT", folder / "checkout")
        images.tags.cache_clear()

    select(folders[0])
    images.base("python")
    run(["cp", "--archive", folders[0] / "cache", folders[1] / "cache"])
    for folder, mode, time in ((folders[0], 0o022, 1_000_000_000), (folders[1], 0o077, 1_500_000_000)):
        _check_out(folder / "checkout", mode, time)
    yield folders, select
    for folder in folders:
        select(folder)
        images.forget_builds()
        shutil.rmtree(folder)
    images.tags.cache_clear()


def _check_out(target: Path, umask: int, time: int) -> None:
    """Copies what a build reads."""
    shutil.copytree(CHECKOUT / "apps", target / "apps")
    (target / "models").mkdir()
    for path in (CHECKOUT / "models").glob("*.py"):
        shutil.copy(path, target / "models")
    shutil.copy(CHECKOUT / ".dockerignore", target)
    for path in target.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (time, time))


def _build(image: str, torch_index: str, folder: Path) -> tuple[list[str], dict[str, object], Path]:
    """Builds an image; returns its layers' digests, its configuration and the exported archive."""
    images.build_app(image, torch_index)
    name, archive = images.app_names(image)[0], folder / "image.tar"
    run(images.buildah("push", "--quiet", name, f"docker-archive:{archive}:{name}"), env=images.BUILDAH)
    inspected = json.loads(output(images.buildah("inspect", "--type=image", name), env=images.BUILDAH))
    return inspected["OCIv1"]["rootfs"]["diff_ids"], inspected["OCIv1"], archive


@pytest.mark.parametrize("image", images.IMAGES)
def test_two_machines_build_the_same_layers_and_none_of_them_has_the_indexs_password(machines, index, image):
    folders, select = machines
    url, names = index
    select(folders[0])
    first, configuration, archive = _build(image, url, folders[0])
    assert f"ci:{PASSWORD}" in names  # it reached pip
    with tarfile.open(archive) as tar:  # of layers as tar files, which are not compressed
        for member in filter(tarfile.TarInfo.isfile, tar):
            file = tar.extractfile(member)
            assert file and PASSWORD.encode() not in file.read(), member.name
    assert PASSWORD not in json.dumps(configuration)
    select(folders[1])
    second, other_configuration, _ = _build(image, url, folders[1])
    assert (second, other_configuration) == (first, configuration)
