"""What `helm test` asks of a classifier: `python -m apps.classifier.probe_client --help`; see apps.serving.probe."""

import math
import sys
from typing import Any

from apps.serving.probe import DiffersError, JsonObject, main, post


def classify(url: str, probes: list[JsonObject]) -> list[JsonObject]:
    """Send each probe to /predict; return the answers, or raise DiffersError unless all are as published."""
    if not probes:
        raise DiffersError("There are no probes to send. Give a manifest that has some by --manifest.")
    answers = []
    for number, probe in enumerate(probes):
        answer = post(f"{url}/predict", {key: probe[key] for key in ("features", "scale") if key in probe})
        if "value" in probe:  # a regressor's
            expected = {"value": probe["value"]}
        else:
            expected = {"label": probe["label"], "probability": max(probe["probabilities"])}
        if differing := [
            key for key, value in expected.items() if not _agree(answer.get(key), value, probe.get("tolerance", 0))
        ]:
            text = "; ".join(f"{key} {expected[key]!r} expected, {answer.get(key)!r} came" for key in differing)
            raise DiffersError(f"{url}/predict, probe {number}: {text}")
        answers.append(answer)
    return answers


def _agree(actual: Any, expected: Any, tolerance: float) -> bool:
    """Return whether an answer is as published; engines whose results depend on the processor have a `tolerance`."""
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(_agree(one, other, tolerance) for one, other in zip(actual, expected, strict=True))
        )
    if isinstance(expected, str) or not tolerance or not isinstance(actual, int | float):
        return bool(actual == expected)
    return math.isclose(actual, expected, rel_tol=tolerance, abs_tol=tolerance)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    return main(classify, "python -m apps.classifier.probe_client", arguments)


if __name__ == "__main__":
    sys.exit(run())
