"""The data classes of an observation: the names in its JSON, and what they refuse."""

import json

import pytest
from pydantic import ValidationError

from loadgen.cluster.observation import Behavior, Hpa, Observation, Pod, Policy, Sample, ScalingRules

RULES = ScalingRules(
    stabilization_window_seconds=300,
    select_policy="Max",
    policies=(Policy(type="Percent", value=50, period_seconds=30),),
)
OBSERVATION = Observation(
    release="inference/classifier-service",
    server_version="v1.35.4",
    hpa=(Hpa(t=0.5, min=1, max=5, target_utilization=70, behavior=Behavior(scale_down=RULES)),),
    pods=(Pod(name="a", ready=((0.5, True),), ready_stamps=(-90.0,), phase=((0.5, "Running"),)),),
    samples=(Sample(t=3.2, pod="a", timestamp=-4.0, window=15.462, usage_nano=374185555, usage_milli=375),),
)


def test_json_and_back_is_the_same():
    text = json.dumps(OBSERVATION.model_dump(mode="json", by_alias=True))
    assert Observation.model_validate(json.loads(text)) == OBSERVATION


def test_behavior_has_the_names_of_the_api():
    written = OBSERVATION.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert written["hpa"][0]["behavior"] == {
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 30}],
        }
    }


def test_all_mistakes_are_told_at_once():
    document = OBSERVATION.model_dump(mode="json", by_alias=True)
    document["hpa"][0]["max"] = "many"
    document["pods"][0]["colour"] = "blue"
    document["skew_seconds"] = float("nan")
    with pytest.raises(ValidationError) as refused:
        Observation.model_validate(document)
    places = {".".join(map(str, error["loc"])) for error in refused.value.errors()}
    assert places == {"hpa.0.max", "pods.0.colour", "skew_seconds"}
