"""Percentiles are exact: by nearest rank, as numpy computes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.statistics.percentiles import PERCENTS, by_group, distribution

SECONDS = st.floats(0, 1e6)


@given(st.lists(SECONDS, min_size=1, max_size=500))
def test_distribution_is_numpys_to_the_bit(values):
    figures = distribution(np.array(values))
    assert figures is not None
    for percent in PERCENTS:
        assert figures[f"p{percent}"] == np.percentile(values, percent, method="inverted_cdf")
    assert figures["max"] == max(values)
    assert figures["mean"] == pytest.approx(np.mean(values))


@given(st.lists(st.tuples(st.integers(0, 9), SECONDS), max_size=300), st.sampled_from(PERCENTS))
def test_percentile_of_each_group_is_that_of_its_values_alone(pairs, percent):
    groups, values = np.array([group for group, _ in pairs], np.int32), np.array([value for _, value in pairs])
    alone = [distribution(values[groups == group]) for group in range(10)] if pairs else [None] * 10
    assert by_group(groups, values, [percent], 10) == {percent: [part and part[f"p{percent}"] for part in alone]}


def test_nothing_has_no_distribution():
    assert distribution(np.array([])) is None


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (90, 90), (95, 95), (99, 99)])
def test_percentiles_of_1_to_100_are_their_own_rank(percent, value):
    figures = distribution(np.arange(1.0, 101))
    assert figures is not None and figures[f"p{percent}"] == value
