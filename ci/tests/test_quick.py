"""A test that takes much CPU is refused by ci/check, unless it is marked slow."""

import subprocess
import sys
import time

import pytest

from ci import quick


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
    with pytest.raises(pytest.fail.Exception, match=message), quick.bounded(0.05):
        work(0.1)


def test_a_test_within_the_bound_passes():
    with quick.bounded(0.5):
        burn(0.01)
