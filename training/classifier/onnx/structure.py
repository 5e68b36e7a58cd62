"""What a model is made of: the estimators inside it that take its columns, and why some are not converted."""

import math
from collections.abc import Container, Iterator, Sequence
from typing import Any

import lightgbm
import numpy as np
import xgboost
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from training.classifier.onnx.converters import encoders, families

VECTORIZERS = (CountVectorizer, HashingVectorizer, DictVectorizer, FeatureHasher)
SAME_COLUMNS = (SimpleImputer, StandardScaler)  # transformers that keep the order of columns
# Where meta-estimators keep what they have fitted; forests keep their trees there too.
MEMBERS = ("estimators_", "calibrated_classifiers_", "regressor_", "estimator_", "best_estimator_", "estimator")
# What to train instead of estimators that are not converted.
INSTEAD = {
    "GaussianProcessClassifier": "SVC(probability=True)",
    "SplineTransformer": "with PolynomialFeatures()",
    "RegressorChain": "MultiOutputRegressor(MODEL)",
    "ClassifierChain": "a classifier for each output",
    "DummyClassifier": "LogisticRegression()",
    "DummyRegressor": "LinearRegression()",
}
ENCODER = "OneHotEncoder(handle_unknown='ignore', sparse_output=False)"
IN_FRONT = f"make_pipeline(ColumnTransformer([('codes', {ENCODER}, COLUMNS)], remainder='passthrough'), MODEL)"


def parts(model: Any, names: Sequence[str], is_member: bool = False) -> Iterator[tuple[Any, Sequence[str], bool]]:
    """Yield each estimator in `model` that takes its columns, their names, and whether a meta-estimator holds it."""
    yield model, names, is_member
    if isinstance(model, Pipeline):
        for _, step in model.steps:
            yield from parts(step, names, is_member)
            if hasattr(step, "get_feature_names_out") and not _keeps_columns(step, names):
                return
    elif isinstance(model, TransformedTargetRegressor):
        yield from parts(model.regressor_, names, is_member)
    elif isinstance(model, FeatureUnion):
        for _, transformer in model.transformer_list:
            yield from parts(transformer, names, is_member)
    elif isinstance(model, ColumnTransformer):
        for _, transformer, columns in getattr(model, "transformers_", ()):
            if not isinstance(transformer, str):
                yield from parts(transformer, _selected(columns, names), is_member)
    elif not isinstance(model, str):
        for member in _members(model):
            yield from parts(member, names, True)


def _keeps_columns(step: Any, names: Sequence[str]) -> bool:
    """Return whether the first columns that a transformer makes are those that it takes: an imputer may drop some."""
    return isinstance(step, SAME_COLUMNS) and len(step.get_feature_names_out()) >= len(names)


def vocabulary(model: Any, names: Sequence[str]) -> dict[str, tuple[str | float, ...]]:
    """Return the values of each feature that encoders in `model` know, whose input columns have these `names`.

    They are texts, or numbers where an encoder refuses all others.
    """
    known: dict[str, dict[str | float, None]] = {}
    for part, columns, _ in parts(model, names):
        categories = getattr(part, "categories_", None)
        refuses = getattr(part, "handle_unknown", "error") == "error"
        for name, column in zip(columns, categories if isinstance(categories, list) else (), strict=False):
            values = [value for value in column.tolist() if isinstance(value, str)]
            values = values or [value for value in column.tolist() if refuses and _is_number(value)]
            if values:
                known.setdefault(name, {}).update(dict.fromkeys(values))
    return {name: tuple(values) for name, values in known.items()}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def features_without_nan(model: Any, names: Sequence[str]) -> set[str]:
    """Return the features whose missing value is None to `model`, and not NaN; encoders tell these apart."""
    result = set()
    for part, columns, _ in parts(model, names):
        if isinstance(part, encoders.ENCODERS):
            pairs = zip(columns, part.categories_, strict=False)
            result |= {name for name, categories in pairs if None in categories.tolist()}
        elif isinstance(part, SimpleImputer) and part.missing_values is None:
            result |= {*columns}
    return result


def used(model: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns, of those with these `names`, that `model` does not drop at once."""
    while isinstance(model, (Pipeline, TransformedTargetRegressor)):
        model = model.steps[0][1] if isinstance(model, Pipeline) else model.regressor_
    if not isinstance(model, ColumnTransformer):
        return tuple(names)
    kept = [_selected(columns, names) for _, part, columns in getattr(model, "transformers_", ()) if part != "drop"]
    selected = {name for columns in kept for name in columns}
    return tuple(name for name in names if name in selected)


def takes_columns(model: Any) -> bool:
    """Return whether a model selects columns of its rows."""
    return any(isinstance(part, ColumnTransformer) for part, _, _ in parts(model, ()))


def refusal(model: Any) -> str | None:
    """Return why `model` is not converted and the remedy, to follow "holds a …, "; None where nothing is known."""
    families.register()
    known = {*sklearn_operator_name_map, Pipeline, ColumnTransformer, FeatureUnion}
    for part, is_member in _with_steps(model):
        name = type(part).__name__
        subject = "which" if part is model else f"whose {name}"
        if isinstance(part, VECTORIZERS):
            remedy = "Register the steps behind it, joblib.dump(MODEL[1:], PATH), with a sample of the numbers it makes"
            return f"whose {name} takes free texts, and rows have numbers and categories. {remedy}"
        if isinstance(part, BaseEstimator) and (instead := _instead(part, known)):
            return f"{subject} is not converted. {instead}"
        if is_member and isinstance(part, ColumnTransformer):
            remedy = "Fit them behind one: make_pipeline(ColumnTransformer(…), MODEL)"
            return f"which holds estimators with a {name} of their own. {remedy}"
        if _encodes_itself(part):
            return f"{subject} takes categories that it encodes itself. Encode them in front of it: {IN_FRONT}"
    return None


def _with_steps(model: Any) -> Iterator[tuple[Any, bool]]:
    """Yield each estimator in `model`, those behind transformers too, and whether a meta-estimator holds it."""
    for part, _, is_member in parts(model, ()):
        yield part, is_member
        for _, step in part.steps[1:] if isinstance(part, Pipeline) else ():
            yield from ((inner, is_member or inside) for inner, inside in _with_steps(step))


def _instead(model: Any, known: Container[type]) -> str | None:
    """Return what to train instead of an estimator that is not converted; None for one that is."""
    if isinstance(model, QuantileTransformer) and model.output_distribution == "normal":
        return "Train it with output_distribution='uniform', or PowerTransformer() instead"
    if isinstance(model, CalibratedClassifierCV) and model.method == "isotonic":
        return "Train it with method='sigmoid'"
    if type(model).__name__ in INSTEAD:
        return f"Train {INSTEAD[type(model).__name__]} instead"
    return None if type(model) in known else "Train without it, or save it as ONNX with its own tools"


def _encodes_itself(model: Any) -> bool:
    if isinstance(model, (HistGradientBoostingClassifier, HistGradientBoostingRegressor)):
        return getattr(model, "_preprocessor", None) is not None
    if isinstance(model, lightgbm.LGBMModel) and model.__sklearn_is_fitted__():
        return bool(model.booster_.pandas_categorical)
    if isinstance(model, xgboost.XGBModel) and model.__sklearn_is_fitted__():
        return "c" in (model.get_booster().feature_types or ())
    return False


def _members(model: Any) -> Iterator[Any]:
    for name in MEMBERS:
        value = getattr(model, name, None)
        value = value.ravel().tolist() if isinstance(value, np.ndarray) else value
        for member in value if isinstance(value, list) else [value]:
            if hasattr(member, "predict") or hasattr(member, "estimator"):
                yield member


def _selected(columns: Any, names: Sequence[str]) -> Sequence[str]:
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        return list(names[columns])
    if not names:  # of a model that was fitted on an array
        return []
    array = np.asarray(columns)
    return [str(name) for name in (array if array.dtype.kind in "OUT" else np.asarray(names, object)[array])]
