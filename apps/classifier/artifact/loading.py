"""Loads the forest in a .joblib file, and refuses every file that the services could not evaluate safely."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.classifier.artifact import unpickle
from apps.classifier.artifact.content import UnreadableError, max_bytes
from apps.classifier.artifact.inert import FORESTS, SUPPORTED, TREE, TREES, Inert, integer
from apps.classifier.artifact.unpickle import BROKEN
from apps.classifier.forest import Forest
from models import artifact

NODE = {
    "left_child": "i8", "right_child": "i8", "feature": "i8", "threshold": "f8", "missing_go_to_left": "u1",
    "impurity": "f8", "n_node_samples": "i8", "weighted_n_node_samples": "f8",
}  # fmt: skip
# A small file may refer to one array or tree many times, so the result is bounded too.
MAX_TREES, MAX_CLASSES, MAX_FEATURES, MAX_DEPTH = 5_000, 100_000, 100_000, 10_000


class ForestError(Exception):
    """Why a file cannot be served as a forest, in one line: the path, the reason, the remedy."""


class _Tree(NamedTuple):
    """One tree in the arrays of a Forest, with nodes and leaves numbered from 0."""

    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    leaf: np.ndarray
    values: np.ndarray


def load(path: str | Path, content: bytes | None = None) -> Forest:
    """Return the forest in the .joblib file at `path`, or in `content` where that is given.

    Raises ForestError where it cannot be served.
    """
    try:
        content = artifact.read_file(path, max_bytes()) if content is None else content
        return flatten(unpickle.read(content))
    except (UnreadableError, OSError, artifact.UnusualError) as error:
        raise ForestError(f"{str(path)!r} is not served: {error}.") from None


def flatten(model: Inert) -> Forest:
    """Return the forest that `unpickle.read` returned as an Inert; raise UnreadableError where it is none."""
    if model.name not in FORESTS:
        raise UnreadableError(f"it holds a {_class_name(model)}. Supported: {SUPPORTED}")
    try:
        return _flatten(model)
    except BROKEN as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise UnreadableError(
            f"it is a {_class_name(model)} that is not fitted, or of an unknown version ({reason})"
        ) from None


def _flatten(model: Inert) -> Forest:
    estimators = model.state.get("estimators_", [model])
    if not estimators or not all(isinstance(tree, Inert) and tree.name in TREES for tree in estimators):
        raise UnreadableError("its estimators are not decision trees")
    parts = {id(tree.state["tree_"].state[part]) for tree in estimators for part in ("nodes", "values")}
    if len(parts) != 2 * len(estimators):
        raise UnreadableError("it holds a tree, or a part of one, twice")
    if integer(model.state["n_outputs_"]) != 1:
        raise UnreadableError("it predicts several outputs at once, and one is served")
    labels, n_features = _labels(model.state["classes_"]), integer(model.state["n_features_in_"])
    for noun, count, most in (("trees", len(estimators), MAX_TREES), ("features", n_features, MAX_FEATURES)):
        if not 1 <= count <= most:
            raise UnreadableError(f"it has {count} {noun}; 1 to {most} are served")
    trees = [_tree(tree.state["tree_"], n_features, len(labels)) for tree in estimators]
    roots, rows = _starts([tree.child.size for tree in trees]), _starts([len(tree.values) for tree in trees])
    child = np.concatenate([tree.child + root for tree, root in zip(trees, roots, strict=True)])
    leaf = np.concatenate([tree.leaf + row for tree, row in zip(trees, rows, strict=True)])
    feature, threshold, values = (
        np.concatenate([getattr(tree, part) for tree in trees]) for part in ("feature", "threshold", "values")
    )
    return Forest(labels, n_features, _depth(child, roots), roots, feature, threshold, child, leaf, values)


def _labels(classes: np.ndarray | list[Any]) -> tuple[str, ...]:
    if len(classes) > MAX_CLASSES:
        raise UnreadableError(f"it has {len(classes)} classes; 1 to {MAX_CLASSES} are served")
    labels = classes if isinstance(classes, list) else classes.tolist()
    if not all(type(label) in (str, int, float, bool) for label in labels):
        raise UnreadableError("its classes are not named by texts or numbers")
    return tuple(str(label) for label in labels)


def _tree(tree: Inert, n_features: int, n_classes: int) -> _Tree:
    if tree.name != TREE:
        raise UnreadableError("its estimators hold no trees")
    nodes, values = tree.state["nodes"], tree.state["values"]
    fields = nodes.dtype.fields or {}
    if {name: field[0].str[1:].replace("i4", "i8") for name, field in fields.items()} != NODE:
        raise UnreadableError("its nodes are not those of scikit-learn 1.3 to 1.9. Save it again with one of these")
    left, right = nodes["left_child"], nodes["right_child"]
    inner = left != -1
    _check_tree(nodes, inner, n_features)
    if values.shape != (left.size, 1, n_classes) or values.dtype != np.float64:
        raise UnreadableError("its leaves do not hold a value for each class")
    place, pairs = np.zeros(left.size, np.intp), 1 + 2 * np.arange(np.count_nonzero(inner))
    place[left[inner]], place[right[inner]] = pairs, pairs + 1
    parents, leaves = place[inner], place[~inner]
    child, leaf = np.arange(left.size), np.zeros(left.size, np.intp)
    feature, threshold = np.zeros(left.size, np.intp), np.full(left.size, np.inf)
    child[parents], leaf[leaves] = pairs, np.arange(leaves.size)
    feature[parents], threshold[parents] = nodes["feature"][inner], nodes["threshold"][inner]
    return _Tree(feature, threshold, child, leaf, values[~inner, 0])


def _check_tree(nodes: np.ndarray, inner: np.ndarray, n_features: int) -> None:
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


def _class_name(model: Inert) -> str:
    return model.name.rpartition(".")[2]


def _starts(sizes: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.intp)


def _depth(child: np.ndarray, nodes: np.ndarray) -> int:
    depth = 0
    while (nodes := nodes[child[nodes] != nodes]).size:
        nodes = np.concatenate([child[nodes], child[nodes] + 1])
        depth += 1
        if depth > MAX_DEPTH:
            raise UnreadableError(f"one of its trees is deeper than {MAX_DEPTH} levels")
    return depth
