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
    made = [
        Step("third", lambda: order.append("third"), ("first", "second")),
        Step("second", lambda: order.append("second"), ("first",)),
        Step("first", lambda: order.append("first")),
    ]
    assert run_steps(made)
    assert order == ["first", "second", "third"]


def test_a_result_that_is_there_is_not_made_again(capsys):
    assert run_steps([Step("tools", lambda: pytest.fail("made again"), done=lambda: True)])
    assert "ready   tools" in capsys.readouterr().out


def test_a_failure_shows_the_end_of_the_log_where_it_is_and_the_remedy(capsys, tmp_path):
    def broken() -> None:
        run(["sh", "-c", "seq 100; echo the reason >&2; exit 3"])

    assert not run_steps([Step("image lm", broken), Step("after", lambda: pytest.fail("started"), ("image lm",))])
    said = capsys.readouterr().err
    assert "ended with 3" in said
    assert "| the reason" in said and "| 100" in said and "| 50\n" not in said
    assert str(tmp_path / "image-lm.log") in said
    assert "run the same command again" in said


def test_a_failure_says_its_own_remedy(capsys):
    def refuse() -> None:
        raise Failed("port 30080 is taken", "Stop what holds it.")

    assert not run_steps([Step("cluster", refuse)])
    lines = capsys.readouterr().err.splitlines()
    assert "cluster failed: port 30080 is taken" in lines
    assert lines[-1] == "Stop what holds it."


def test_a_defect_of_our_own_is_called_one(capsys):
    assert not run_steps([Step("cluster", lambda: 1 // 0)])
    assert "defect" in capsys.readouterr().err


def test_a_step_after_one_that_does_not_exist_is_an_error_before_any_starts():
    made = [Step("build", lambda: pytest.fail("started")), Step("cluster", lambda: None, ("build", "buidl"))]
    with pytest.raises(ValueError) as error:
        run_steps(made)
    assert str(error.value) == "These steps come after a step that does not exist: 'cluster' (after 'buidl')"


def test_steps_that_wait_for_each_other_are_an_error_before_any_starts():
    made = [
        Step("build", lambda: pytest.fail("started")),
        Step("cluster", lambda: None, ("build", "install")),
        Step("install", lambda: None, ("cluster",)),
    ]
    with pytest.raises(CycleError, match=r"\['(cluster', 'install', 'cluster|install', 'cluster', 'install)'\]"):
        run_steps(made)


def test_steps_that_do_not_wait_for_each_other_run_side_by_side():
    meeting = threading.Barrier(2, timeout=20)
    assert run_steps([Step("first", meeting.wait), Step("second", meeting.wait)])


def test_a_patient_step_has_low_priority():
    niceness: dict[str, int] = {}

    def note(name: str) -> None:
        niceness[name] = int(output([sys.executable, "-c", "import os; print(os.nice(0))"]))

    assert run_steps([Step(name, partial(note, name), patient=name == "patient") for name in ("patient", "prompt")])
    assert niceness["patient"] == min(niceness["prompt"] + 10, 19)
