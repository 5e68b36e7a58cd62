"""What is no tree is refused before it is walked: a cycle would never end, a wrong index read elsewhere."""

import joblib
import numpy as np
import pytest

from apps.classifier.artifact import loading, unpickle
from apps.classifier.artifact.unpickle import UnreadableError


@pytest.fixture
def model(digits, tmp_path):
    """A forest as read, whose arrays can be changed."""
    joblib.dump(digits, tmp_path / "forest.joblib")
    model = unpickle.read((tmp_path / "forest.joblib").read_bytes())
    for estimator in model.state["estimators_"]:
        state = estimator.state["tree_"].state
        state.update(nodes=state["nodes"].copy(), values=state["values"].copy())
    return model


def tree(model) -> dict:
    return model.state["estimators_"][0].state["tree_"].state


def set_nodes(key, value, where=0):
    def change(model):
        tree(model)["nodes"][key][where] = value

    return change


def without_missing(model) -> None:
    nodes = tree(model)["nodes"]
    tree(model)["nodes"] = np.array(nodes[["left_child", "right_child", "feature", "threshold"]])


def change_state(key, value):
    def change(model):
        model.state[key] = value

    return change


MISTAKES = {
    "a node is its own child": (set_nodes("left_child", 0), "not exactly one parent"),
    "two parents": (set_nodes("left_child", 2), "not exactly one parent"),
    "a child that is not there": (set_nodes("right_child", 10**6), "not exactly one parent"),
    "a negative child": (set_nodes("right_child", -7), "not exactly one parent"),
    "a feature beyond the last": (set_nodes("feature", 784), "feature outside 0 to 783"),
    "a negative feature": (set_nodes("feature", -3), "feature outside 0 to 783"),
    "a threshold that is no number": (set_nodes("threshold", np.nan), "threshold that is not a number"),
    "nodes of another version": (without_missing, "scikit-learn 1.3 to 1.9"),
    "values of another shape": (lambda m: tree(m).update(values=np.zeros((3, 1, 10))), "a value for each class"),
    "values of another type": (
        lambda m: tree(m).update(values=tree(m)["values"].astype(np.float32)),
        "a value for each class",
    ),
    "no trees": (change_state("estimators_", []), "not decision trees"),
    "trees that are not": (change_state("estimators_", [1, 2]), "not decision trees"),
    "several outputs": (change_state("n_outputs_", 2), "several outputs"),
    "a count that is a text": (change_state("n_features_in_", "784"), "a whole number belongs"),
    "not fitted": (lambda m: m.state.pop("classes_"), "not fitted"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_no_tree_is_refused(model, name):
    change, said = MISTAKES[name]
    change(model)
    with pytest.raises(UnreadableError, match=said):
        loading.flatten(model)


def test_a_cycle_apart_from_the_root_is_refused(model):
    nodes = tree(model)["nodes"]
    inner = np.flatnonzero(nodes["left_child"] != -1)
    first, second = inner[1], inner[2]
    nodes["left_child"][first] = first
    with pytest.raises(UnreadableError, match="not exactly one parent"):
        loading.flatten(model)
    assert second
