"""Models behind encoders of categories are served as they answer, with missing, unknown and rare values."""

import json

import pytest

from training import environments

BOUND = 1e-14  # of double precision
REFUSED = "target of texts and numbers"


@pytest.mark.full
def test_encoders_are_served_in_double_precision():
    python = environments.ready("onnx") / "python"
    lines = environments.run([python, "-m", "training.tests.classifier.encoders"]).splitlines()
    outcomes = {outcome["model"]: outcome for outcome in map(json.loads, lines)}
    remedy = "give each a transformer of its own: ColumnTransformer([('texts', …, TEXTS), ('numbers', …, NUMBERS)])"
    assert remedy in outcomes.pop(REFUSED)["refused"]
    assert not [outcome for outcome in outcomes.values() if "refused" in outcome]
    assert len(outcomes) >= 18
    assert all(outcome["difference"] <= BOUND for outcome in outcomes.values())
    features = {name: {f["name"]: f for f in outcome["features"]} for name, outcome in outcomes.items()}
    assert features["one-hot of numbers"]["district"]["values"] == [2.0, 9.5]
    assert features["one-hot of numbers, unknown"]["district"]["kind"] == "float"
    assert features["ordinal, unknown, None"]["colour"]["unknown"] == "accepted"
