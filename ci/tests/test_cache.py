"""A cached result's name changes with what goes into it, and with nothing else."""

from pathlib import Path

from ci.cache import key


def source(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / "app" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "app"


def test_key_is_the_same_in_another_checkout(tmp_path):
    assert key(source(tmp_path / "a", main="1"), "x") == key(source(tmp_path / "b", main="1"), "x")


def test_key_changes_with_a_files_content_and_name(tmp_path):
    keys = {
        key(source(tmp_path / n, **files)) for n, files in {"a": {"m": "1"}, "b": {"m": "2"}, "c": {"n": "1"}}.items()
    }
    assert len(keys) == 3


def test_key_does_not_change_with_tests_or_compiled_files(tmp_path):
    plain = key(source(tmp_path / "a", main="1"))
    assert plain == key(source(tmp_path / "b", main="1", tests__test_main="x", __pycache____main="y"))


def test_key_tells_two_texts_from_their_concatenation():
    assert key("ab", "c") != key("a", "bc")
