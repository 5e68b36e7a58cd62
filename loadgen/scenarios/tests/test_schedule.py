"""Arrivals: as many as the rates say, sorted, within their segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.commands.cli import main
from loadgen.scenarios import schedule
from loadgen.scenarios.schedule import Segment, arrivals, trace

RATES = st.floats(0, 200)
SEGMENTS = st.lists(st.builds(Segment, st.floats(0.1, 20), RATES, RATES), min_size=1, max_size=6)


def expected(segments):
    return sum(segment.seconds * (segment.rate + segment.end_rate) / 2 for segment in segments)


@given(SEGMENTS)
def test_arrivals_are_sorted_within_the_run_and_as_many_as_expected(segments):
    times = arrivals(segments)
    assert abs(len(times) - expected(segments)) < 1
    assert (np.diff(times) >= 0).all()
    assert len(times) == 0 or (times[0] >= 0 and times[-1] <= sum(segment.seconds for segment in segments) + 1e-6)


@pytest.mark.slow
@given(SEGMENTS)
def test_expected_number_at_each_arrival_is_its_place(segments):
    """The inverse, computed forwards: the area under the rates up to the nth arrival is n."""
    starts = np.cumsum([0.0, *(segment.seconds for segment in segments)])
    for place, time in enumerate(arrivals(segments)[::7]):
        area = 0.0
        for start, segment in zip(starts, segments, strict=False):
            within = min(max(time - start, 0.0), segment.seconds)
            slope = (segment.end_rate - segment.rate) / segment.seconds
            area += segment.rate * within + slope * within**2 / 2
        assert area == pytest.approx(7 * place, abs=1e-3)


@given(SEGMENTS, st.integers(0, 2**32))
def test_poisson_arrivals_are_sorted_within_the_run_and_repeat_with_their_seed(segments, seed):
    times = arrivals(segments, np.random.default_rng(seed))
    assert (np.diff(times) >= 0).all()
    assert (times == arrivals(segments, np.random.default_rng(seed))).all()
    assert abs(len(times) - expected(segments)) <= 8 * expected(segments) ** 0.5 + 8


def test_constant_rate_is_evenly_spaced():
    assert arrivals([Segment(1, 4, 4)]).tolist() == [0, 0.25, 0.5, 0.75]


def test_ramp_from_0_follows_the_square_root():
    assert arrivals([Segment(10, 0, 2)]).tolist() == pytest.approx((np.arange(10) * 10) ** 0.5)


def test_pause_sends_nothing_and_a_spike_begins_on_time():
    times = arrivals([Segment(1, 2, 2), Segment(3, 0, 0), Segment(1, 100, 100)])
    assert times[:3].tolist() == [0, 0.5, 4] and len(times) == 102


@pytest.mark.parametrize("segments", [[], [Segment(5, 0, 0)]])
def test_no_rate_is_no_arrival(segments):
    assert len(arrivals(segments)) == len(arrivals(segments, np.random.default_rng(1))) == 0


def test_poisson_gaps_are_exponential():
    gaps = np.diff(arrivals([Segment(100, 100, 100)], np.random.default_rng(1)))
    assert gaps.mean() == pytest.approx(0.01, rel=0.05) and gaps.std() == pytest.approx(0.01, rel=0.05)


def test_trace_begins_at_0():
    assert trace([12.0, 10.0, 11.0]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "has no times"),
        (b"0\nnan\n", "has a time that is not finite"),
        (b"0 1\n2 3\n", "has 2 columns; a line is one time in seconds"),
        (b"hello\n", "cannot be read: could not convert string 'hello' to float64 at row 0, column 1"),
        (b"0\n\xff\n", "is not text in UTF-8; a line is a time in seconds"),
        (b"0\n1e12\n", "lasts 1e+12 s; the most are 2,592,000, which is 30 days"),
    ],
)
def test_wrong_trace_is_told_before_any_load(tmp_path, capsys, content, rule):
    path = tmp_path / "trace.txt"
    path.write_bytes(content)
    assert main(["lm", "--trace", str(path)]) == 2
    assert capsys.readouterr().err == f"python -m loadgen lm:\n  --trace {path}: {rule}.\n"


def test_trace_of_more_times_than_fit_into_memory_is_refused(tmp_path, monkeypatch):
    (tmp_path / "trace.txt").write_text("1\n" * 11)
    monkeypatch.setattr(schedule, "MOST_ARRIVALS", 10)
    with pytest.raises(ValueError, match="has more than 10 times"):
        schedule.read_trace(tmp_path / "trace.txt")
