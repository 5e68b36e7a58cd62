"""A result is named by its inputs, and the cache keeps what the next run needs."""

import os
import time
from pathlib import Path

from ci import cache, images, plan
from ci.cache import key
from ci.tools import build, extra


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


def test_key_of_two_texts_differs_from_that_of_their_concatenation():
    assert key("ab", "c") != key("a", "bc")


def result(path: Path, days: float) -> Path:
    """Makes a result that was last used so many days ago."""
    path.mkdir(parents=True)
    (path / "file").touch()
    os.utime(path, (time.time() - days * 86_400,) * 2)
    return path


def test_results_unused_for_a_month_are_removed_and_all_others_kept(tmp_path):
    old = [
        result(tmp_path / name, 31) for name in ("python/a", "tools/kube-a", "debian/node-a", "check/a", "go-1.26.6")
    ]
    kept = [result(tmp_path / name, 29) for name in ("python/b", "tools/kube-b", "check/b")]
    kept += [result(tmp_path / name, 99) for name in ("mnist", "buildah", "go-build")]
    cache.remove_unused(tmp_path)
    assert not any(path.exists() for path in old) and all(path.exists() for path in kept)


def test_a_result_in_use_is_kept_however_old_it_is(tmp_path):
    path = result(tmp_path / "python/a", 99)
    cache.use(path, tmp_path / "python/never-made")
    cache.remove_unused(tmp_path)
    assert (path / "file").exists() and not (tmp_path / "python/never-made").exists()


def test_clean_caches_keeps_this_checkouts_results_and_removes_gos_caches(tmp_path, monkeypatch):
    for module in (build, extra, images, cache):
        monkeypatch.setattr(module, "CACHE", tmp_path)
    go = {name: str(tmp_path / name) for name in ("GOCACHE", "GOMODCACHE")}
    monkeypatch.setattr(build, "ENVIRONMENT", go)
    tools = [result(build.folder(module), 99) for module in build.PACKAGES]
    other = result(tmp_path / "tools/kube-of-another-checkout", 99)
    result(tmp_path / "GOMODCACHE/module", 0).chmod(0o555)
    plan.clean_caches()
    assert all(path.exists() for path in tools)
    assert not other.exists() and not any(os.path.exists(path) for path in go.values())


def test_gos_caches_are_cleaned_only_when_both_builds_are_done():
    (step,) = (step for step in plan.cluster_with_images(None, variants=[]) if step.name == "clean caches")
    assert set(step.after) == {"build kube", "build helm"}
