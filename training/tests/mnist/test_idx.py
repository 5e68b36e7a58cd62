"""IDX files and .npz files are read in dataset order; damaged ones are refused with the reason."""

import gzip

import numpy as np
import pytest

from training.errors import TrainingError
from training.mnist import idx


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
def test_idx_files_are_read_in_dataset_order(tmp_path, files, digits, zipped):
    for name, content in files.items():
        path = tmp_path / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content) if zipped else content)
    images, labels = idx.from_folder(tmp_path)
    assert np.array_equal(images, digits[0]) and np.array_equal(labels, digits[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file of unsigned bytes"),
        (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "is not an IDX file of unsigned bytes: it begins with 00 00 0d 01"),
        (b"\0\0\x08\3\0\0", "is cut off or too long"),
        (b"\0\0\x08\1\0\0\0\3ab", r"is cut off or too long: 10 bytes for 8 \+ values \[3\]"),
        (b"\0\0\x08\1\0\0\0\1ab", "is cut off or too long"),
    ],
)
def test_damaged_idx_files_are_refused_with_the_reason(content, message):
    with pytest.raises(TrainingError, match=message):
        idx.parse(content, "labels")


def test_folder_without_data_names_the_missing_files(tmp_path):
    (tmp_path / idx.FILES[0]).touch()
    with pytest.raises(TrainingError, match=rf"lacks {idx.FILES[1]}, {idx.FILES[2]}, {idx.FILES[3]}"):
        idx.from_folder(tmp_path)


@pytest.mark.parametrize("suffix", [".gz", ".npz"])
def test_truncated_file_is_named(tmp_path, files, digits, suffix):
    np.savez(tmp_path / "whole.npz", images=digits[0], labels=digits[1])
    whole = gzip.compress(files[idx.FILES[0]]) if suffix == ".gz" else (tmp_path / "whole.npz").read_bytes()
    folder = tmp_path / "data"
    folder.mkdir()
    for name in idx.FILES:
        (folder / (name + suffix)).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match=idx.FILES[0] if suffix == ".gz" else "with `images` and `labels`"):
        idx.from_folder(folder)


def test_npz_with_fewer_labels_than_images_is_refused(tmp_path, digits):
    np.savez(tmp_path / "a.npz", images=digits[0], labels=digits[1][:-1])
    with pytest.raises(TrainingError, match="one label for each image"):
        idx.from_folder(tmp_path)


def test_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([print], object), labels=np.zeros(1, np.uint8))
    with pytest.raises(TrainingError, match=r"is not an \.npz with `images` and `labels`"):
        idx.from_folder(tmp_path)
