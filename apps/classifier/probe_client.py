"""What `helm test` asks of a classifier: `python -m apps.classifier.probe_client --help`; see apps.serving.probe."""

import sys

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
        if differing := [key for key, value in expected.items() if answer.get(key) != value]:
            text = "; ".join(f"{key} {expected[key]!r} expected, {answer.get(key)!r} came" for key in differing)
            raise DiffersError(f"{url}/predict, probe {number}: {text}")
        answers.append(answer)
    return answers


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    return main(classify, "python -m apps.classifier.probe_client", arguments)


if __name__ == "__main__":
    sys.exit(run())
