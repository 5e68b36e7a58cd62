"""The API's texts for amounts, durations and times."""

import pytest

from loadgen.cluster import quantities


@pytest.mark.parametrize(
    ("text", "nano", "milli"),
    [
        ("374185555n", 374185555, 375),
        ("1n", 1, 1),
        ("0", 0, 0),
        ("2u", 2000, 1),
        ("250m", 250_000_000, 250),
        ("0.5", 500_000_000, 500),
        ("1e-3", 1_000_000, 1),
        ("2", 2_000_000_000, 2000),
        ("1k", 10**12, 10**6),
        ("1Ki", 1024 * 10**9, 1024 * 1000),
    ],
)
def test_amounts_are_rounded_up(text, nano, milli):
    assert (quantities.nano(text), quantities.milli(text)) == (nano, milli)


def test_tolerances_are_the_floats_of_kubernetes():
    assert [quantities.number(text) for text in ("100m", "0.1", "1", "1500m", "2k")] == [0.1, 0.1, 1.0, 1.5, 2000.0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("15.462s", 15.462), ("5m0s", 300), ("1h2m3.5s", 3723.5), ("10ms", 0.01)]
)
def test_durations(text, seconds):
    assert quantities.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "15", "s", "5 s", "5m0"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration of Go"):
        quantities.duration(text)


@pytest.mark.parametrize("text", ["", "m", "1x", "1 m"])
def test_what_is_no_amount(text):
    with pytest.raises(ValueError, match="is not a quantity of Kubernetes"):
        quantities.milli(text)


def test_times():
    assert quantities.epoch("1970-01-01T00:00:10Z") == 10
    assert quantities.epoch("1970-01-01T00:00:10.250000Z") == 10.25
