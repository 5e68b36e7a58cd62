"""What a model is made of: the estimators inside it that take its columns, and why some are not converted."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import lightgbm
import numpy as np
import xgboost
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from apps.classifier.onnx.inputs import MISSING
from training.classifier.onnx import families

VECTORIZERS = (CountVectorizer, HashingVectorizer, DictVectorizer, FeatureHasher)
SAME_COLUMNS = ("SimpleImputer", "StandardScaler")  # transformers that keep the order of columns
# Where meta-estimators keep what they have fitted; forests keep their trees there too.
MEMBERS = ("estimators_", "calibrated_classifiers_", "regressor_", "estimator_", "best_estimator_", "estimator")
ENCODER = "OneHotEncoder(handle_unknown='ignore', sparse_output=False)"
IN_FRONT = f"make_pipeline(ColumnTransformer([('codes', {ENCODER}, COLUMNS)], remainder='passthrough'), MODEL)"


def parts(model: Any, names: Sequence[str], is_member: bool = False) -> Iterator[tuple[Any, Sequence[str], bool]]:
    """Yield each estimator in `model` that takes its columns, their names, and whether a meta-estimator holds it."""
    yield model, names, is_member
    if isinstance(model, Pipeline):
        for _, step in model.steps:
            yield from parts(step, names, is_member)
            if hasattr(step, "get_feature_names_out") and type(step).__name__ not in SAME_COLUMNS:
                return
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


def vocabulary(model: Any, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the texts of each feature that encoders in `model` know, whose input columns have these `names`."""
    known: dict[str, dict[str, None]] = {}
    for part, columns, _ in parts(model, names):
        categories = getattr(part, "categories_", None)
        for name, values in zip(columns, categories if isinstance(categories, list) else (), strict=False):
            if texts := [value for value in values.tolist() if isinstance(value, str)]:
                known.setdefault(name, {}).update(dict.fromkeys(texts))
    return {name: tuple(texts) for name, texts in known.items()}


def with_missing_texts(model: Any) -> Any:
    """Return a copy of `model` whose encoders know the missing value of texts as MISSING, as ONNX models get it."""
    copied = copy.deepcopy(model)
    for part, _, _ in parts(copied, ()):
        if isinstance(part, (OneHotEncoder, TargetEncoder)):
            part.categories_ = [_without_nan(categories) for categories in part.categories_]
    return copied


def _without_nan(categories: np.ndarray) -> np.ndarray:
    if not any(isinstance(value, str) for value in categories):
        return categories
    return np.array([value if isinstance(value, str) else MISSING for value in categories], object)


def takes_columns(model: Any) -> bool:
    """Return whether a model selects columns of its rows."""
    return any(isinstance(part, ColumnTransformer) for part, _, _ in parts(model, ()))


def refusal(model: Any) -> str | None:
    """Return why `model` is not converted and the remedy, to follow "holds a …, "; None where nothing is known."""
    families.register()
    known = {*sklearn_operator_name_map, Pipeline, ColumnTransformer, FeatureUnion}
    for part, _, is_member in parts(model, ()):
        name = type(part).__name__
        subject = "which" if part is model else f"whose {name}"
        if isinstance(part, VECTORIZERS):
            remedy = "Register the steps behind it, joblib.dump(MODEL[1:], PATH), with a sample of the numbers it makes"
            return f"whose {name} takes free texts, and rows have numbers and categories. {remedy}"
        if isinstance(part, BaseEstimator) and type(part) not in known:
            return f"{subject} is not converted. Train without it, or save it as ONNX with its own tools"
        if is_member and isinstance(part, ColumnTransformer):
            remedy = "Fit them behind one: make_pipeline(ColumnTransformer(…), MODEL)"
            return f"which holds estimators with a {name} of their own. {remedy}"
        if _encodes_itself(part):
            return f"{subject} takes categories that it encodes itself. Encode them in front of it: {IN_FRONT}"
    return None


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
