"""Reads the trees of a forest into the flat arrays of a Forest, and refuses nodes and leaves that form no tree."""

from typing import Any, NamedTuple

import numpy as np

from apps.classifier.artifact.arrays import array
from apps.classifier.artifact.content import UnreadableError
from apps.classifier.artifact.inert import TREE, Inert

NODE = {
    "left_child": "i8", "right_child": "i8", "feature": "i8", "threshold": "f8", "impurity": "f8",
    "n_node_samples": "i8", "weighted_n_node_samples": "f8",
}  # fmt: skip
MISSING = {"missing_go_to_left": "u1"}  # from scikit-learn 1.3 on
SUM_TOLERANCE = 1e-6  # of the fractions in a leaf, which scikit-learn itself rounds


class Tree(NamedTuple):
    """One tree in the arrays of a Forest, with nodes and leaves numbered from 0."""

    feature: np.ndarray
    threshold: np.ndarray
    missing_right: np.ndarray
    child: np.ndarray
    leaf: np.ndarray
    values: np.ndarray


def read(tree: Inert, n_features: int, width: int, is_classifier: bool) -> Tree:
    """Return a tree whose leaves hold `width` values; raise UnreadableError where it is none."""
    nodes, values = parts(tree, width, is_classifier)
    left, right = nodes["left_child"], nodes["right_child"]
    inner = left != -1
    _check(nodes, inner, n_features)
    place, pairs = np.zeros(left.size, np.intp), 1 + 2 * np.arange(np.count_nonzero(inner))
    place[left[inner]], place[right[inner]] = pairs, pairs + 1
    parents, leaves = place[inner], place[~inner]
    child, leaf = np.arange(left.size), np.zeros(left.size, np.intp)
    feature, threshold = np.zeros(left.size, np.intp), np.full(left.size, np.inf)
    missing_right = np.zeros(left.size, bool)
    child[parents], leaf[leaves] = pairs, np.arange(leaves.size)
    feature[parents], threshold[parents] = nodes["feature"][inner], nodes["threshold"][inner]
    missing_right[parents] = nodes["missing_go_to_left"][inner] == 0
    return Tree(feature, threshold, missing_right, child, leaf, values[~inner])


def parts(tree: Inert, width: int, is_classifier: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a tree's nodes, with scikit-learn's fields, and float64 (nodes, width): probabilities or values."""
    if tree.name != TREE:
        raise UnreadableError("its estimators hold no trees")
    nodes, values = array(tree.state["nodes"]), array(tree.state["values"])
    shape = (nodes.size, 1, width) if is_classifier else (nodes.size, width, 1)
    if values.shape != shape or values.dtype != np.float64:
        raise UnreadableError("its leaves do not hold a value for each class or output")
    flat = values.reshape(nodes.size, width)
    if not np.isfinite(flat).all():
        raise UnreadableError("its leaves hold values that are not numbers")
    return _with_missing(nodes), _probabilities(flat) if is_classifier else flat


def _with_missing(nodes: np.ndarray) -> np.ndarray:
    """Return the nodes with the field `missing_go_to_left`, which scikit-learn before 1.3 does not write."""
    fields = {name: field[0].str[1:].replace("i4", "i8") for name, field in (nodes.dtype.fields or {}).items()}
    if fields == NODE | MISSING:
        return nodes
    if fields != NODE:
        raise UnreadableError("its nodes are not those of scikit-learn 1.2 to 1.9. Train it again with one of these")
    complete = np.zeros(nodes.shape, [(name, nodes.dtype[name]) for name in NODE] + [("missing_go_to_left", "u1")])
    for name in NODE:
        complete[name] = nodes[name]
    return complete


def _probabilities(values: np.ndarray) -> np.ndarray:
    """Return the probabilities of each node.

    Up to scikit-learn 1.3 a node holds the weight of each class, and a prediction divides by their sum. Later versions
    write fractions, and do not divide. A file that 1.3 wrote holds weights still when a later version saves it again.
    """
    sums = values.sum(axis=1)
    if (values < 0).any() or not (sums > 0).all():
        raise UnreadableError("its leaves hold values that are not the weights or probabilities of classes")
    if (np.abs(sums - 1) <= SUM_TOLERANCE).all():
        return values
    shares: np.ndarray = values / sums[:, None]
    return shares


def _check(nodes: Any, inner: np.ndarray, n_features: int) -> None:
    """Refuse nodes that do not form a tree: then each walk from the root ends, and reads only existing features."""
    children = np.concatenate([nodes["left_child"][inner], nodes["right_child"][inner]])
    children.sort()
    if not np.array_equal(children, np.arange(1, nodes.size)):
        raise UnreadableError("one of its trees is not a tree: a node does not have exactly one parent")
    feature = nodes["feature"][inner]
    if not np.all((feature >= 0) & (feature < n_features)):
        raise UnreadableError(f"one of its trees compares a feature outside 0 to {n_features - 1}")
    if np.isnan(nodes["threshold"][inner]).any():
        raise UnreadableError("one of its trees has a threshold that is not a number")
