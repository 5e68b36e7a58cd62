"""Loads the forest in a .joblib file, and refuses every file that the services could not evaluate safely."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from apps.classifier.artifact import trees, unpickle
from apps.classifier.artifact.arrays import array, integer, plain, source
from apps.classifier.artifact.content import UnreadableError, max_bytes
from apps.classifier.artifact.inert import CLASSIFIERS, FORESTS, SUPPORTED, TREES, Inert
from apps.classifier.artifact.unpickle import BROKEN
from apps.classifier.forest import Forest
from models import artifact

# A small file may refer to one array or tree many times, so the result is bounded too.
MAX_TREES, MAX_CLASSES, MAX_FEATURES, MAX_DEPTH = 5_000, 100_000, 100_000, 10_000


class ForestError(Exception):
    """Why a file cannot be served as a forest, in one line: the path, the reason, the remedy."""


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
    if type(model.state) is dict and not {"estimators_", "tree_"} & model.state.keys():
        raise UnreadableError(f"it is a {_class_name(model)} that is not fitted. Call its fit, and save it again")
    try:
        return _flatten(model)
    except BROKEN as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise UnreadableError(f"it is a {_class_name(model)} of an unknown version, or is damaged ({reason})") from None


def _flatten(model: Inert) -> Forest:
    estimators = model.state.get("estimators_", [model])
    if not estimators or not all(isinstance(tree, Inert) and tree.name in TREES for tree in estimators):
        raise UnreadableError("its estimators are not decision trees")
    parts = {id(source(tree.state["tree_"].state[part])) for tree in estimators for part in ("nodes", "values")}
    if len(parts) != 2 * len(estimators):
        raise UnreadableError("it holds a tree, or a part of one, twice")
    outputs, is_classifier = integer(model.state["n_outputs_"]), model.name in CLASSIFIERS
    if is_classifier and outputs != 1:
        raise UnreadableError(f"it predicts {outputs} outputs at once. Train a classifier for each of them")
    labels, n_features = _labels(model) if is_classifier else (), integer(model.state["n_features_in_"])
    counts = ("trees", len(estimators), MAX_TREES), ("features", n_features, MAX_FEATURES), ("outputs", outputs, 1000)
    for noun, count, most in counts:
        if not 1 <= count <= most:
            raise UnreadableError(f"it has {count} {noun}; 1 to {most} are served")
    width = len(labels) if is_classifier else outputs
    read = [trees.read(tree.state["tree_"], n_features, width, is_classifier) for tree in estimators]
    roots, rows = _starts([tree.child.size for tree in read]), _starts([len(tree.values) for tree in read])
    child = np.concatenate([tree.child + root for tree, root in zip(read, roots, strict=True)])
    leaf = np.concatenate([tree.leaf + row for tree, row in zip(read, rows, strict=True)])
    joined = {
        part: np.concatenate([getattr(tree, part) for tree in read])
        for part in ("feature", "threshold", "missing_right", "values")
    }
    return Forest(
        classes=labels,
        n_features=n_features,
        feature_names=_feature_names(model, n_features),
        depth=_depth(child, roots),
        roots=roots,
        child=child,
        leaf=leaf,
        **joined,
    )


def _labels(model: Inert) -> tuple[str, ...]:
    """Return the classes as texts; raise UnreadableError for labels that a manifest or an answer could not hold."""
    classes = array(model.state["classes_"])
    if len(classes) > MAX_CLASSES:
        raise UnreadableError(f"it has {len(classes)} classes; 1 to {MAX_CLASSES} are served")
    values = [plain(value) for value in classes] if isinstance(classes, list) else classes.tolist()
    if wrong := [value for value in values if not _is_label(value)]:
        raise UnreadableError(
            f"one of its classes is {_short_text(wrong[0])}; classes are named by texts or finite numbers. "
            "Train it with labels as texts: y.astype(str)"
        )
    labels = tuple(str(value) for value in values)
    if len(set(labels)) < len(labels):
        raise UnreadableError("two of its classes have the same name as texts. Train it with labels that differ")
    return labels


def _is_label(value: Any) -> bool:
    if type(value) is str:
        return not any("\ud800" <= character <= "\udfff" for character in value)  # UTF-8 has no half of a pair
    return type(value) in (int, bool) or (type(value) is float and math.isfinite(value))


def _short_text(value: Any) -> str:
    return f"{value!a}"[:80] if type(value) in (str, float, bytes, type(None)) else f"a {type(value).__name__}"


def _feature_names(model: Inert, n_features: int) -> tuple[str, ...]:
    """Return the columns' names of the frame that the model was fitted on; none for an array."""
    values = array(model.state.get("feature_names_in_"))
    if values is None:
        return ()
    names = tuple(plain(value) for value in (values if isinstance(values, list) else values.tolist()))
    if len(names) != n_features or len(set(names)) < len(names) or not all(type(name) is str for name in names):
        raise UnreadableError("the names of its features are not one text for each, all different")
    return names


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
