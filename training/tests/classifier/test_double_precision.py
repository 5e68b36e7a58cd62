"""What skl2onnx lacks or rounds is served in double precision, with the labels that it predicts, or refused."""

import json

import pytest

from training import environments

BOUND = 1e-12
# Module of this folder -> the least number of its models that are served, and the reasons why others are refused.
MODELS = {
    "estimators": (
        25,
        {
            "LocalOutlierFactor of its own rows": "among its training data only. Fit it with novelty=True.",
            "powers of the target": "use numpy's functions, func=np.log1p and inverse_func=np.expm1, or",
            "GaussianProcessClassifier": "is not converted. Train SVC(probability=True) instead.",
            "RegressorChain": "RegressorChain is not converted. Train MultiOutputRegressor(MODEL) instead.",
            "isotonic": "CalibratedClassifierCV is not converted. Train it with method='sigmoid'.",
            "KMeans alone": "predicts clusters. Save a classifier of its centres: KNeighborsClassifier(1).fit(",
        },
    ),
    "transformers": (
        14,
        {
            "imputer of texts with indicators": "a SimpleImputer of texts with add_indicator=True; use make_union(",
            "normal quantiles": "Train it with output_distribution='uniform', or PowerTransformer() instead.",
            "splines": "whose SplineTransformer is not converted. Train with PolynomialFeatures() instead.",
        },
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("module", MODELS)
def test_models_are_served_in_double_precision_or_refused_with_a_remedy(module):
    least, refused = MODELS[module]
    python = environments.ready("onnx") / "python"
    lines = environments.run([python, "-m", f"training.tests.classifier.{module}"]).splitlines()
    outcomes = {outcome["model"]: outcome for outcome in map(json.loads, lines)}
    for name, reason in refused.items():
        assert reason in outcomes.pop(name)["refused"]
    assert not [outcome for outcome in outcomes.values() if "refused" in outcome]
    assert len(outcomes) >= least
    assert not [name for name, outcome in outcomes.items() if outcome["difference"] > BOUND]
