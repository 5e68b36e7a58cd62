"""Teaches skl2onnx the models that it does not know."""

import functools
from collections.abc import Callable
from typing import Any

import lightgbm
import xgboost
from skl2onnx import update_registered_converter, update_registered_parser
from sklearn import ensemble, svm, tree
from sklearn.base import ClassifierMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import FeatureUnion

from training.classifier.onnx.converters import (
    encoders,
    ensembles,
    graph,
    imputers,
    kernel_models,
    outliers,
    preprocessing,
    support_vectors,
    targets,
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

TRANSFORMERS = {
    **preprocessing.CONVERTERS,
    **imputers.IMPUTERS,
    **kernel_models.TRANSFORMERS,
    **kernel_models.REGRESSORS,
}
# Transformers of texts too, whose option tells the precision of what they make.
FROM_TEXTS = {**dict.fromkeys(encoders.ENCODERS, (encoders.shape, encoders.convert)), **imputers.INDICATORS}


@functools.cache
def register() -> None:
    """Register the converters that skl2onnx lacks."""
    for transformer, converters in TRANSFORMERS.items():
        update_registered_converter(transformer, f"Own{transformer.__name__}", *converters, parser=graph.parse)
    options = {encoders.DOUBLE: [True, False]}
    for encoder, converters in FROM_TEXTS.items():
        name = f"Own{encoder.__name__}"
        update_registered_converter(encoder, name, *converters, options=options, parser=encoders.parse)
    for detector in outliers.DECISIONS:
        name = f"Own{detector.__name__}"
        update_registered_converter(detector, name, outliers.shape, outliers.convert, parser=graph.parse)
    name = f"Own{TransformedTargetRegressor.__name__}"
    update_registered_converter(TransformedTargetRegressor, name, targets.shape, targets.convert, parser=targets.parse)
    update_registered_parser(FeatureUnion, encoders.parse_union)
    for converter, models in ENSEMBLES.items():
        for model in models:
            _register(model, converter)


def _register(model: type, converter: Callable[[Any, Any, Any], None]) -> None:
    name = f"Own{model.__name__}"
    options = CLASSIFIER_OPTIONS if issubclass(model, ClassifierMixin) else None
    update_registered_converter(model, name, graph.shapes, converter, options=options)
