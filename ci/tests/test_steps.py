"""Steps run in order and side by side, results that exist are kept, and a failure shows what to do."""

import sys
import threading
from collections.abc import Callable
from functools import partial
from graphlib import CycleError

import pytest

from ci.cache import CACHE
from ci.run import Failed, output, run
from ci.steps import Step, run_steps


@pytest.fixture
def step(tmp_path) -> Callable[..., Step]:
    """Makes a step whose log is a file of the test's own."""
    return lambda name, run, after=(), **options: Step(name, run, after, log=tmp_path / f"{name}.log", **options)


def test_a_steps_log_is_named_after_it():
    assert Step("image lm", lambda: None).log_path() == CACHE / "logs" / "image-lm.log"


def test_a_step_starts_when_all_before_it_are_done(step):
    order: list[str] = []
    steps = [
        step("third", lambda: order.append("third"), ("first", "second")),
        step("second", lambda: order.append("second"), ("first",)),
        step("first", lambda: order.append("first")),
    ]
    assert run_steps(steps)
    assert order == ["first", "second", "third"]


def test_a_step_whose_result_exists_is_not_run(step, capsys):
    assert run_steps([step("tools", lambda: pytest.fail("made again"), done=lambda: True)])
    assert "ready   tools" in capsys.readouterr().out


def test_a_failure_shows_the_end_and_path_of_the_log_and_the_remedy(step, capsys, tmp_path):
    def broken() -> None:
        run(["sh", "-c", "seq 100; echo the reason >&2; exit 3"])

    assert not run_steps([step("image lm", broken), step("after", lambda: pytest.fail("started"), ("image lm",))])
    printed = capsys.readouterr().err
    assert "ended with 3" in printed
    assert "| the reason" in printed and "| 100" in printed and "| 50\n" not in printed
    assert str(tmp_path / "image lm.log") in printed
    assert "run the same command again" in printed


def test_a_failure_with_a_remedy_shows_it(step, capsys):
    def refuse() -> None:
        raise Failed("port 30080 is taken", "Stop what holds it.")

    assert not run_steps([step("cluster", refuse)])
    lines = capsys.readouterr().err.splitlines()
    assert "cluster failed: port 30080 is taken" in lines
    assert lines[-1] == "Stop what holds it."


def test_an_unexpected_error_is_called_a_defect(step, capsys):
    assert not run_steps([step("cluster", lambda: 1 // 0)])
    assert "defect" in capsys.readouterr().err


def test_a_step_after_one_that_does_not_exist_is_an_error_before_any_starts(step):
    steps = [step("build", lambda: pytest.fail("started")), step("cluster", lambda: None, ("build", "buidl"))]
    with pytest.raises(ValueError) as error:
        run_steps(steps)
    assert str(error.value) == "These steps come after a step that does not exist: 'cluster' (after 'buidl')"


def test_a_cycle_of_steps_is_an_error_before_any_starts(step):
    steps = [
        step("build", lambda: pytest.fail("started")),
        step("cluster", lambda: None, ("build", "install")),
        step("install", lambda: None, ("cluster",)),
    ]
    with pytest.raises(CycleError, match=r"\['(cluster', 'install', 'cluster|install', 'cluster', 'install)'\]"):
        run_steps(steps)


def test_independent_steps_run_side_by_side(step):
    meeting = threading.Barrier(2, timeout=20)
    assert run_steps([step("first", meeting.wait), step("second", meeting.wait)])


def test_a_low_priority_step_has_a_higher_niceness(step):
    niceness: dict[str, int] = {}

    def note(name: str) -> None:
        niceness[name] = int(output([sys.executable, "-c", "import os; print(os.nice(0))"]))

    assert run_steps([step(name, partial(note, name), low_priority=name == "low") for name in ("low", "normal")])
    assert niceness["low"] == min(niceness["normal"] + 10, 19)
