"""A unit test that takes much CPU fails, unless it is marked as long."""

import subprocess
import sys
import time

import pytest

from ci import pytest_plugin


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def burn_in_a_child(seconds: float) -> None:
    script = f"import time\nwhile time.process_time() < {seconds}: pass"
    subprocess.run([sys.executable, "-S", "-c", script], check=True)


@pytest.mark.parametrize("work", [burn, burn_in_a_child])
def test_a_test_beyond_the_bound_fails_with_the_remedy(work):
    message = r"took 0\.\d s of CPU, more than 0.05 s. Make it quicker, or mark it slow."
    with pytest.raises(pytest.fail.Exception, match=message), pytest_plugin.bounded(0.05):
        work(0.1)


def test_a_test_within_the_bound_passes():
    with pytest_plugin.bounded(0.5):
        burn(0.01)


def run_pytest(folder, *options):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "ci.pytest_plugin",
        "-p",
        "no:cacheprovider",
        f"--rootdir={folder}",
    ]
    return subprocess.run([*command, "-W", "ignore", *options, folder], capture_output=True, text=True).stdout


@pytest.mark.slow
def test_a_quick_test_that_takes_too_much_cpu_fails_and_a_slow_one_does_not(tmp_path):
    seconds = pytest_plugin.MAX_CPU_SECONDS + 0.1
    burn = f"end = time.process_time() + {seconds}\n    while time.process_time() < end: pass\n"
    tests = f"def test_quick():\n    {burn}\n@pytest.mark.slow\ndef test_slow():\n    {burn}"
    (tmp_path / "test_burn.py").write_text(f"import pytest, time\n\n{tests}")
    output = run_pytest(tmp_path)
    assert "1 failed, 1 passed" in output and "test_burn.py::test_quick" in output, output


@pytest.mark.slow
@pytest.mark.parametrize("options, imported", [(["-m", "not slow"], False), (["-m", "not full"], True), ([], True)])
def test_a_module_is_imported_unless_its_mark_leaves_all_its_tests_out(tmp_path, options, imported):
    (tmp_path / "test_pages.py").write_text("import pytest\n\npytestmark = pytest.mark.slow\nassert not 'imported'\n")
    assert ("assert not 'imported'" in run_pytest(tmp_path, *options)) == imported
