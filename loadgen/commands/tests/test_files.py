"""What `--output` and `--report` name is checked before a run, and replaced only by what is whole."""

import os

import pytest

from loadgen.commands import files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("", "is a folder; name a file."),
        ("none/x.json", "there is no folder {folder}/none; create it first."),
        ("circle", "is a link to itself; name a file."),
        ("x" * 300, "cannot be written: File name too long; name another file."),
    ],
)
def test_what_cannot_be_written_is_told_and_nothing_is_changed(folder, name, mistake):
    (folder / "circle").symlink_to("circle")
    assert files.mistakes(str(folder / name)) == [mistake.format(folder=folder)]
    assert [path.name for path in folder.iterdir()] == ["circle"]


def test_an_open_file_that_does_not_exist_is_told():
    number = os.open(os.devnull, os.O_WRONLY)
    os.close(number)
    assert files.mistakes(f"/dev/fd/{number}") == ["cannot be written: Bad file descriptor; name another file."]


def test_files_devices_and_standard_output_can_be_written(folder):
    for path in ("-", "/dev/stdout", "/dev/null", "/dev/fd/2", str(folder / "x.json"), str(folder / ("x" * 255))):
        assert files.mistakes(path) == [], path


def test_a_name_as_long_as_a_name_may_be_is_written(folder):
    path = folder / ("ä" * 127)
    assert files.write_text("report", str(path), "text")
    assert path.read_text() == "text"


def test_a_failed_report_leaves_the_previous_one_and_nothing_else(folder, capsys):
    path = folder / "x.html"
    path.write_text("previous")

    def content(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    assert not files.write("report", str(path), content)
    assert path.read_text() == "previous" and list(folder.iterdir()) == [path]
    assert capsys.readouterr().err == f"--report {path} could not be written: No space left on device.\n"


@pytest.mark.parametrize(
    ("path", "other", "same"),
    [
        ("-", "/dev/stdout", True),
        ("-", "x", False),
        ("x", "-", False),
        ("x", "./x", True),
        ("x", "y", False),
        ("/dev/null", "/dev/null", False),
    ],
)
def test_two_contents_are_not_mixed_in_one_file(path, other, same):
    assert files.same(path, other) is same
