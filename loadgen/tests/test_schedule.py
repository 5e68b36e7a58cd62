"""Arrivals: as many as the rates say, sorted, within their segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.schedule import Segment, arrivals, trace

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


def test_trace_begins_at_0_and_can_be_sped_up():
    assert trace([12.0, 10.0, 11.0], speed=2).tolist() == [0, 0.5, 1]
    assert trace([]).tolist() == []


@pytest.mark.parametrize(("times", "speed"), [([float("nan")], 1), ([1, float("inf")], 1), ([1], 0), ([1], -1)])
def test_wrong_trace_is_refused(times, speed):
    with pytest.raises(ValueError, match="must be finite"):
        trace(times, speed)
