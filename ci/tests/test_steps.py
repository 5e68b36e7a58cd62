"""Steps run in order and side by side, results that exist are kept, and a failure shows what to do."""

import sys
import threading
from functools import partial
from graphlib import CycleError

import pytest

from ci import steps
from ci.run import Failed, output, run
from ci.steps import Step, run_steps


@pytest.fixture(autouse=True)
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "LOGS", tmp_path)


def test_a_step_starts_when_all_before_it_are_done():
    order: list[str] = []
    steps = [
        Step("third", lambda: order.append("third"), ("first", "second")),
        Step("second", lambda: order.append("second"), ("first",)),
        Step("first", lambda: order.append("first")),
    ]
    assert run_steps(steps)
    assert order == ["first", "second", "third"]


def test_a_step_whose_result_exists_is_not_run(capsys):
    assert run_steps([Step("tools", lambda: pytest.fail("made again"), done=lambda: True)])
    assert "ready   tools" in capsys.readouterr().out


def test_a_failure_shows_the_end_and_path_of_the_log_and_the_remedy(capsys, tmp_path):
    def broken() -> None:
        run(["sh", "-c", "seq 100; echo the reason >&2; exit 3"])

    assert not run_steps([Step("image lm", broken), Step("after", lambda: pytest.fail("started"), ("image lm",))])
    printed = capsys.readouterr().err
    assert "ended with 3" in printed
    assert "| the reason" in printed and "| 100" in printed and "| 50\n" not in printed
    assert str(tmp_path / "image-lm.log") in printed
    assert "run the same command again" in printed


def test_a_failure_with_a_remedy_shows_it(capsys):
    def refuse() -> None:
        raise Failed("port 30080 is taken", "Stop what holds it.")

    assert not run_steps([Step("cluster", refuse)])
    lines = capsys.readouterr().err.splitlines()
    assert "cluster failed: port 30080 is taken" in lines
    assert lines[-1] == "Stop what holds it."


def test_an_unexpected_error_is_called_a_defect(capsys):
    assert not run_steps([Step("cluster", lambda: 1 // 0)])
    assert "defect" in capsys.readouterr().err


def test_a_step_after_one_that_does_not_exist_is_an_error_before_any_starts():
    steps = [Step("build", lambda: pytest.fail("started")), Step("cluster", lambda: None, ("build", "buidl"))]
    with pytest.raises(ValueError) as error:
        run_steps(steps)
    assert str(error.value) == "These steps come after a step that does not exist: 'cluster' (after 'buidl')"


def test_a_cycle_of_steps_is_an_error_before_any_starts():
    steps = [
        Step("build", lambda: pytest.fail("started")),
        Step("cluster", lambda: None, ("build", "install")),
        Step("install", lambda: None, ("cluster",)),
    ]
    with pytest.raises(CycleError, match=r"\['(cluster', 'install', 'cluster|install', 'cluster', 'install)'\]"):
        run_steps(steps)


def test_independent_steps_run_side_by_side():
    meeting = threading.Barrier(2, timeout=20)
    assert run_steps([Step("first", meeting.wait), Step("second", meeting.wait)])


def test_a_low_priority_step_has_a_higher_niceness():
    niceness: dict[str, int] = {}

    def note(name: str) -> None:
        niceness[name] = int(output([sys.executable, "-c", "import os; print(os.nice(0))"]))

    assert run_steps([Step(name, partial(note, name), low_priority=name == "low") for name in ("low", "normal")])
    assert niceness["low"] == min(niceness["normal"] + 10, 19)
