"""Models behind transformers that skl2onnx lacks or rounds are served in double precision, or refused with a remedy."""

import json

import pytest

from training import environments

BOUND = 1e-12
REFUSED = {
    "imputer of texts with indicators": "a SimpleImputer of texts with add_indicator=True; use make_union(",
    "normal quantiles": "Train it with output_distribution='uniform', or PowerTransformer() instead.",
    "splines": "whose SplineTransformer is not converted. Train with PolynomialFeatures() instead.",
}


@pytest.mark.full
def test_transformers_are_served_in_double_precision():
    python = environments.ready("onnx") / "python"
    lines = environments.run([python, "-m", "training.tests.classifier.transformers"]).splitlines()
    outcomes = {outcome["model"]: outcome for outcome in map(json.loads, lines)}
    for name, reason in REFUSED.items():
        assert reason in outcomes.pop(name)["refused"]
    assert not [outcome for outcome in outcomes.values() if "refused" in outcome]
    assert len(outcomes) >= 14
    assert not [name for name, outcome in outcomes.items() if outcome["difference"] > BOUND]
