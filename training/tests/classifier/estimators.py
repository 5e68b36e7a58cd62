"""Registers estimators that skl2onnx lacks or rounds, on rows of mixed types or of numbers.

`python -m training.tests.classifier.estimators` runs in the environment of the conversion, as
`test_double_precision.py` does.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, StackingClassifier, VotingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge, SGDOneClassSVM
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from training.tests.classifier.families import houses, prepared
from training.tests.classifier.nested import report

SVM = SVC(probability=True)


def cases() -> Iterator[tuple[str, Any, pd.DataFrame]]:
    """Yield names, fitted models, and their rows."""
    frame, cost = houses()
    two, three, five = (np.digitize(cost, limits) for limits in ([9], [8, 11], [7, 8, 10, 12]))
    numbers, words = frame[["income", "rooms"]], np.where(two, "dear", "cheap")
    for name, model, target in (
        ("SVC", SVM, words),
        ("SVC, three classes", SVM, three),
        ("SVC, ties broken", SVC(probability=True, break_ties=True, kernel="poly"), five),
        ("SVC, linear", SVC(probability=True, kernel="linear", decision_function_shape="ovo"), three),
        ("NuSVC", NuSVC(probability=True, nu=0.2, kernel="sigmoid"), three),
        ("SVC, calibrated", CalibratedClassifierCV(SVC()), three),
        ("SVC, voting", VotingClassifier([("a", SVM), ("b", LogisticRegression())], voting="soft"), words),
        ("SVC, stacking", StackingClassifier([("a", SVM), ("b", LogisticRegression())]), three),
        ("SVR", SVR(), cost),
        ("NuSVR", NuSVR(kernel="poly"), cost),
    ):
        yield name, make_pipeline(prepared(), model).fit(frame, target), frame
    for name, model, target in (
        ("KernelRidge", KernelRidge(kernel="rbf"), cost),
        ("KernelRidge, laplacian", KernelRidge(kernel="laplacian"), np.column_stack([cost, -cost])),
        ("transformed target", TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), abs(cost)),
        ("scaled target", TransformedTargetRegressor(SVR(), transformer=MinMaxScaler()), cost),
        ("powers of the target", TransformedTargetRegressor(Ridge(), transformer=PowerTransformer()), cost),
        ("GaussianProcessClassifier", GaussianProcessClassifier(), words),
        ("RegressorChain", RegressorChain(Ridge()), np.column_stack([cost, -cost])),
        ("MultiOutputRegressor", MultiOutputRegressor(Ridge()), np.column_stack([cost, -cost])),
        ("isotonic", CalibratedClassifierCV(LogisticRegression(), method="isotonic"), words),
        ("KMeans alone", KMeans(3, random_state=0), None),
    ):
        yield name, make_pipeline(prepared(), model).fit(frame, target), frame
    centres = pd.DataFrame(KMeans(3, random_state=0).fit(numbers).cluster_centers_, columns=numbers.columns)
    yield "centres of clusters", KNeighborsClassifier(1).fit(centres, range(3)), numbers
    few = np.random.default_rng(0).random(len(frame)) < 0.8
    for name, model in {
        "IsolationForest": IsolationForest(random_state=0),
        "IsolationForest, some features": IsolationForest(max_features=0.5, contamination=0.1, random_state=0),
        "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
        "OneClassSVM": OneClassSVM(nu=0.1),
        "SGDOneClassSVM": SGDOneClassSVM(random_state=0),
        "EllipticEnvelope": make_pipeline(PCA(4), EllipticEnvelope(random_state=0)),
    }.items():
        yield name, make_pipeline(prepared(), model).fit(frame[few]), frame
    holes = frame[["age", "rooms"]]
    yield "IsolationForest of missing values", IsolationForest(random_state=0).fit(holes), holes
    yield "LocalOutlierFactor of its own rows", LocalOutlierFactor().fit(numbers), numbers
    yield "SVC of numbers", make_pipeline(StandardScaler(), SVM).fit(numbers, words), numbers
    yield "SVC of large numbers", SVM.fit(numbers, three), numbers


if __name__ == "__main__":
    report(cases())
