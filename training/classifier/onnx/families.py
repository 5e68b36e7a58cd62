"""Teaches skl2onnx the models that it does not know."""

import functools
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn import ensemble, tree
from sklearn.impute import SimpleImputer

from apps.classifier.onnx.inputs import MISSING
from training.classifier.onnx import encoders, ensembles, preprocessing, xgboost_models

CLASSIFIER_OPTIONS = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}
ENSEMBLES: dict[Callable[[Any, Any, Any], None], tuple[type, ...]] = {
    ensembles.forest: (
        ensemble.RandomForestClassifier, ensemble.RandomForestRegressor,
        ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor,
        tree.DecisionTreeClassifier, tree.DecisionTreeRegressor,
        tree.ExtraTreeClassifier, tree.ExtraTreeRegressor,
    ),
    ensembles.gradient_boosting: (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor),
    ensembles.histograms: (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor),
    xgboost_models.convert: (
        xgboost.XGBClassifier, xgboost.XGBRegressor, xgboost.XGBRFClassifier, xgboost.XGBRFRegressor,
    ),
    ensembles.lightgbm: (lightgbm.LGBMClassifier, lightgbm.LGBMRegressor),
    ensembles.voting: (ensemble.VotingClassifier,),
}  # fmt: skip


@functools.cache
def register() -> None:
    """Register the converters that skl2onnx lacks."""
    update_registered_converter(SimpleImputer, "OwnSimpleImputer", _imputer_shape, _convert_imputer)
    for transformer, converters in preprocessing.CONVERTERS.items():
        update_registered_converter(transformer, f"Own{transformer.__name__}", *converters)
    for encoder in encoders.ENCODERS:
        options = {encoders.DOUBLE: [True, False]}
        update_registered_converter(
            encoder, f"Own{encoder.__name__}", encoders.shape, encoders.convert, options=options, parser=encoders.parse
        )
    for converter, models in ENSEMBLES.items():
        for model in models:
            _register(model, converter)


def _register(model: type, converter: Callable[[Any, Any, Any], None]) -> None:
    name = f"Own{model.__name__}"
    options = CLASSIFIER_OPTIONS if name.endswith("Classifier") else None
    update_registered_converter(model, name, ensembles.shapes, converter, options=options)


def _imputer_shape(operator: Any) -> None:
    width = sum(variable.type.shape[1] for variable in operator.inputs)
    kept = operator.raw_operator
    if kept.add_indicator or len(kept.statistics_) != width or len(kept.get_feature_names_out()) != width:
        raise NotImplementedError("SimpleImputer with an indicator, or of columns that are all missing")
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Replace missing values by the imputer's statistics, in any precision (skl2onnx has float32 and other texts)."""
    source, target = _joined(scope, operator, container), operator.outputs[0].full_name
    statistics, width = operator.raw_operator.statistics_, len(operator.raw_operator.statistics_)
    missing = scope.get_unique_variable_name("missing")
    constant = scope.get_unique_variable_name("statistics")
    if isinstance(operator.inputs[0].type, StringTensorType):
        nothing = scope.get_unique_variable_name("nothing")
        container.add_initializer(nothing, TensorProto.STRING, [1], [MISSING.encode()])
        container.add_initializer(constant, TensorProto.STRING, [1, width], [str(text).encode() for text in statistics])
        container.add_node("Equal", [source, nothing], missing, op_version=19)
    else:
        double = isinstance(operator.inputs[0].type, DoubleTensorType)
        number = TensorProto.DOUBLE if double else TensorProto.FLOAT
        container.add_initializer(constant, number, [1, width], np.asarray(statistics, np.float64).tolist())
        container.add_node("IsNaN", source, missing, op_version=13)
    container.add_node("Where", [missing, constant, source], target, op_version=16)


def _joined(scope: Any, operator: Any, container: Any) -> str:
    """Return the name of the operator's inputs side by side."""
    names = [variable.full_name for variable in operator.inputs]
    if len(names) == 1:
        return str(names[0])
    joined: str = scope.get_unique_variable_name("joined")
    container.add_node("Concat", names, joined, op_version=13, axis=1)
    return joined
