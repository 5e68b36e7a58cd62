"""The table of `ci/bench` has ratios to ours, and says in which measures another server is better."""

from collections import Counter

from ci.benchmarks.report import Measure, Row, document, table

MEASURES = (
    Measure("rate", "rate", "1/s", more_is_better=True),
    Measure("p99", "p99", "ms"),
    Measure("idle", "idle", "%"),
)
OURS = Row("ours", {"python": "3.11"}, {"rate": 1000.0, "p99": 2.0, "idle": 0.0}, {})
PEER = Row("peer", {"peer": "1.0"}, {"rate": 250.0, "p99": 1.5, "idle": 0.1}, Counter({"status 500": 3}), 12.34)


def test_each_figure_of_a_peer_has_its_ratio_to_ours():
    content = document(MEASURES, [OURS, PEER], {"other": "it does not install"}, subject="serving")
    assert content["contenders"][1]["ratios"] == {"rate": 0.25, "p99": 0.75, "idle": None}
    assert content["contenders"][1]["failures"] == {"status 500": 3}
    assert content["absent"] == {"other": "it does not install"}
    assert content["subject"] == "serving" and content["machine"]["cores"] >= 1


def test_the_table_names_failures_absent_servers_and_measures_in_which_a_peer_is_better():
    text = table(MEASURES, [OURS, PEER], {"other": "it does not install"})
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == ["", "ours", "peer"]
    assert rows[2:] == [["rate [1/s]", "1000", "250 (0.25)"], ["p99 [ms]", "2", "1.5 (0.75)"], ["idle [%]", "0", "0.1"]]
    assert "peer failed: status 500 3" in text
    assert "peer: others took 12.3% of its core" in text and "ours: others" not in text
    assert "Not measured: other (it does not install)" in text
    assert [line for line in text.splitlines() if "behind" in line] == ["Ours is behind: p99: 2 ms, peer 1.5"]


def test_a_peer_is_compared_with_the_best_of_ours():
    other = Row("ours, other", {}, {"rate": 200.0, "p99": 1.0, "idle": 0.2}, {})
    assert "Ours is ahead in every line." in table(MEASURES, [OURS, PEER, other], {})


def test_the_table_says_if_no_peer_is_better():
    assert "Ours is ahead in every line." in table(MEASURES[:1], [OURS, PEER], {})
