"""The model as its user saved it: unpickled, which runs the file; so only a file that the user trusts comes here."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector
from sklearn.pipeline import Pipeline

from models.features import Feature
from training.classifier.onnx import loading, structure
from training.errors import TrainingError


class Original:
    """A fitted classifier, regressor or outlier detector with scikit-learn's methods."""

    def __init__(self, path: Path, trusted: bool = True) -> None:
        """Load the file at `path`, a pickle by running it; raise TrainingError for what cannot be served.

        If it is not `trusted`, only formats without code are loaded.
        """
        self.model = _best(loading.load(path, trusted))
        subject = f"'{path}' holds a {self.name}"
        if not hasattr(self.model, "predict"):
            if is_outlier_detector(self.model):
                remedy = "Fit it with novelty=True"
                raise TrainingError(f"{subject}, which tells outliers among its training data only. {remedy}.")
            raise TrainingError(f"{subject}, which does not predict. Save a fitted classifier, regressor or pipeline.")
        if not hasattr(self.model, "fit"):
            remedy = "Save an XGBClassifier, an LGBMRegressor or the like"
            raise TrainingError(f"{subject}, which is no estimator of scikit-learn's interface. {remedy}.")
        if is_clusterer(self.model):
            remedy = "KNeighborsClassifier(1).fit(MODEL.cluster_centers_, range(len(MODEL.cluster_centers_)))"
            raise TrainingError(f"{subject}, which predicts clusters. Save a classifier of its centres: {remedy}.")
        if reason := structure.refusal(self.model):
            raise TrainingError(f"{subject}, {reason}.")
        if not hasattr(self.model, "n_features_in_"):
            raise TrainingError(f"{subject} that is not fitted. Call its fit, and save it again.")
        self.is_classifier, self.is_detector = is_classifier(self.model), is_outlier_detector(self.model)
        if self.is_classifier and not hasattr(self.model, "predict_proba"):
            remedy = "Fit CalibratedClassifierCV around it, and save that"
            raise TrainingError(f"{subject}, which gives no probabilities. {remedy}.")
        if self.is_classifier and isinstance(self.model.classes_, list):
            raise TrainingError(f"{subject}, which predicts several outputs at once. Train a classifier for each.")

    @property
    def name(self) -> str:
        """The class of the model, and in a pipeline that of its last step."""
        names = [type(self.model).__name__]
        if isinstance(self.model, Pipeline):
            names.append(type(self.model.steps[-1][1]).__name__)
        return " with ".join(names)

    @property
    def n_features(self) -> int:
        """The values of a row."""
        return len(self.feature_names) or int(self.model.n_features_in_)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the frame that it was fitted on; none for an array."""
        return tuple(map(str, getattr(self.model, "feature_names_in_", ())))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that it uses."""
        return structure.used(self.model, self.columns)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, none for a regressor."""
        return tuple(map(str, self.model.classes_.tolist())) if self.is_classifier else ()

    @cached_property
    def vocabulary(self) -> dict[str, tuple[str | float, ...]]:
        """The texts that each feature's encoders know, or the numbers where these refuse all others."""
        return structure.vocabulary(self.model, self.columns)

    @cached_property
    def _without_nan(self) -> set[str]:
        return structure.features_without_nan(self.model, self.columns)

    def frame(self, features: Sequence[Feature], requests: Sequence[Sequence[Any]]) -> Any:
        """Return rows in JSON as the model takes them: a frame if it was fitted on one."""
        if not self.feature_names:
            return np.array(requests, np.float64)  # None becomes NaN
        columns = zip(features, zip(*requests, strict=True), strict=True)
        without_nan = self._without_nan
        used = {f.name: _column(f, values, f.name in without_nan) for f, values in columns}
        return pd.DataFrame({name: used.get(name, np.nan) for name in self.columns})

    def answers(self, rows: Any) -> NDArray[np.float64]:
        """Return float64 (n, classes or outputs): probabilities, or values.

        Those of an outlier detector are 1 or, for an outlier, -1, and the value of its decision function.
        """
        if self.is_detector:
            return np.column_stack([self.model.predict(rows), self.model.decision_function(rows)]).astype(np.float64)
        answers = self.model.predict_proba(rows) if self.is_classifier else self.model.predict(rows)
        return np.asarray(answers, np.float64).reshape(len(rows), -1)

    def labels(self, rows: Any) -> list[str]:
        """Return the predicted class of each row; none for a regressor."""
        return list(map(str, self.model.predict(rows).tolist())) if self.is_classifier else []


def _best(model: Any) -> Any:
    """Return what a search for parameters chose."""
    return getattr(model, "best_estimator_", model)


def _column(feature: Feature, values: Sequence[Any], is_without_nan: bool) -> Any:
    """Return a column as pandas reads it from a CSV; its missing texts are NaN, or None where the model knows those."""
    if feature.kind in ("float", "int"):
        return np.array(values, np.float64 if None in values or feature.kind == "float" else np.int64)
    if feature.has_texts:
        return pd.Series(values, dtype=object if is_without_nan else "str")
    return pd.Series(values, dtype=bool if feature.kind == "bool" and None not in values else None)
