"""Estimators that skl2onnx lacks or rounds are served in double precision, with the labels that they predict."""

import json

import pytest

from training import environments

BOUND = 1e-12
REFUSED = {
    "LocalOutlierFactor of its own rows": "outliers among its training data only. Fit it with novelty=True.",
    "powers of the target": "another inverse; use numpy's functions, func=np.log1p and inverse_func=np.expm1, or",
    "GaussianProcessClassifier": "GaussianProcessClassifier is not converted. Train SVC(probability=True) instead.",
    "RegressorChain": "RegressorChain is not converted. Train MultiOutputRegressor(MODEL) instead.",
    "isotonic": "CalibratedClassifierCV is not converted. Train it with method='sigmoid'.",
    "KMeans alone": "which predicts clusters. Save a classifier of its centres: KNeighborsClassifier(1).fit(",
}


@pytest.mark.full
def test_estimators_are_served_in_double_precision():
    python = environments.ready("onnx") / "python"
    lines = environments.run([python, "-m", "training.tests.classifier.estimators"]).splitlines()
    outcomes = {outcome["model"]: outcome for outcome in map(json.loads, lines)}
    for name, reason in REFUSED.items():
        assert reason in outcomes.pop(name)["refused"]
    assert not [outcome for outcome in outcomes.values() if "refused" in outcome]
    assert len(outcomes) >= 25
    assert not [name for name, outcome in outcomes.items() if outcome["difference"] > BOUND]
