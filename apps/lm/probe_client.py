"""What `helm test` asks of a language model: `python -m apps.lm.probe_client --help`; see apps.serving.probe."""

import sys

from apps.serving.probe import DiffersError, JsonObject, main, post

MIN_MARGIN = 0.01  # in logits between the two best tokens; below it another CPU may choose the other token
PROMPT: JsonObject = {"prompt": "Once upon a time", "max_new_tokens": 8}  # where no manifest has a probe


def generate(url: str, probes: list[JsonObject]) -> list[JsonObject]:
    """Send the first probe to /generate; return the answer, or raise DiffersError unless it has tokens.

    Its text must be the published one where every token was chosen by at least MIN_MARGIN.
    """
    probe = probes[0] if probes else PROMPT
    answer = post(f"{url}/generate", {key: probe[key] for key in ("prompt", "max_new_tokens")})
    if not answer["usage"]["completion_tokens"]:
        raise DiffersError(f"{url}/generate: an answer expected, no token came")
    text = answer["generated_text"]
    if probe.get("min_margin", 0) >= MIN_MARGIN and text != probe["generated_text"]:
        raise DiffersError(f"{url}/generate: {probe['generated_text']!r} expected, {text!r} came")
    return [answer]


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    return main(generate, "python -m apps.lm.probe_client", arguments)


if __name__ == "__main__":
    sys.exit(run())
