"""Nodes that form no tree are refused: a walk around a cycle would not end, and a wrong index would read other data."""

import joblib
import numpy as np
import pytest

from apps.classifier.artifact import loading, unpickle
from apps.classifier.artifact.content import UnreadableError


@pytest.fixture
def model(digits, tmp_path):
    """A forest as `unpickle.read` returns it, with arrays that can be changed."""
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
    "a node is its own child": (set_nodes("left_child", 0), "does not have exactly one parent"),
    "two parents": (set_nodes("left_child", 2), "does not have exactly one parent"),
    "a child that is not there": (set_nodes("right_child", 10**6), "does not have exactly one parent"),
    "a negative child": (set_nodes("right_child", -7), "does not have exactly one parent"),
    "a feature beyond the last": (set_nodes("feature", 784), "compares a feature outside 0 to 783"),
    "a negative feature": (set_nodes("feature", -3), "compares a feature outside 0 to 783"),
    "a threshold that is no number": (set_nodes("threshold", np.nan), "threshold that is not a number"),
    "nodes of another version": (without_missing, "scikit-learn 1.2 to 1.9"),
    "values of another shape": (lambda m: tree(m).update(values=np.zeros((3, 1, 10))), "a value for each class"),
    "values of another type": (
        lambda m: tree(m).update(values=tree(m)["values"].astype(np.float32)),
        "a value for each class",
    ),
    "no trees": (change_state("estimators_", []), "not decision trees"),
    "trees that are not": (change_state("estimators_", [1, 2]), "not decision trees"),
    "several outputs": (change_state("n_outputs_", 2), "predicts 2 outputs at once"),
    "a count that is a text": (change_state("n_features_in_", "784"), "a whole number belongs"),
    "no classes": (lambda m: m.state.pop("classes_"), "of an unknown version, or is damaged .KeyError: 'classes_'"),
    "no state": (lambda m: setattr(m, "state", None), "of an unknown version, or is damaged"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_nodes_that_form_no_tree_are_refused(model, name):
    change, message = MISTAKES[name]
    change(model)
    with pytest.raises(UnreadableError, match=message):
        loading.flatten(model)


def test_a_cycle_below_the_root_is_refused(model):
    nodes = tree(model)["nodes"]
    inner = np.flatnonzero(nodes["left_child"] != -1)
    child = inner[1]
    nodes["left_child"][child] = child
    with pytest.raises(UnreadableError, match="does not have exactly one parent"):
        loading.flatten(model)
