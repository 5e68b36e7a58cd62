"""Teaches skl2onnx the models that it does not know."""

import functools
from collections.abc import Callable
from typing import Any

import lightgbm
import xgboost
from skl2onnx import update_registered_converter
from sklearn import ensemble, svm, tree
from sklearn.base import ClassifierMixin

from training.classifier.onnx.converters import (
    encoders,
    ensembles,
    graph,
    imputers,
    preprocessing,
    support_vectors,
    xgboost_models,
)

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
    support_vectors.classifier: (svm.SVC, svm.NuSVC),
    support_vectors.regressor: (svm.SVR, svm.NuSVR),
}  # fmt: skip


@functools.cache
def register() -> None:
    """Register the converters that skl2onnx lacks."""
    for transformer, converters in {**preprocessing.CONVERTERS, **imputers.CONVERTERS}.items():
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
    options = CLASSIFIER_OPTIONS if issubclass(model, ClassifierMixin) else None
    update_registered_converter(model, name, graph.shapes, converter, options=options)
