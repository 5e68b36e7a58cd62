"""Compares the loaded model with its answers when it was published. This also warms it up."""

from typing import Any

from apps.lm.engines.protocol import GenerationRequest
from apps.lm.model import LanguageModel
from apps.serving.identity import LoadError

STEPS = 4  # tokens: each takes start-up time, and the first one already needs all weights
WARM_UP: dict[str, Any] = {"prompt": "Once", "token_ids": [], "min_margin": 0}  # if no probe can be compared


def check(model: LanguageModel) -> None:
    """Raise LoadError if a probe's prompt has other tokens, or if the first decisive probe has another answer.

    A probe is decisive if its logits differ by more than rounding can change.
    """
    for probe in model.probes:
        count = len(model.tokenize(probe["prompt"]))
        _compare(model, probe, "the prompt's tokens", count, probe["prompt_tokens"])
    probe = next((probe for probe in model.probes if probe["min_margin"] >= model.margin), WARM_UP)
    answer = _answer(model, probe["prompt"])
    if probe is not WARM_UP:
        _compare(model, probe, "the answer's first tokens", answer, probe["token_ids"][: len(answer)])


def _compare(model: LanguageModel, probe: dict[str, Any], what: str, actual: object, published: object) -> None:
    if actual != published:
        raise LoadError(
            f"{model.identity.name} {model.identity.version}, probe {probe['prompt']!r}: {what} are "
            f"{actual} here and were {published} when published. Publish it again with the installed libraries."
        )


def _answer(model: LanguageModel, text: str) -> list[int]:
    prompt = model.tokenize(text)
    max_tokens = min(STEPS, model.budget.total - len(prompt))
    if max_tokens < 1:
        return []
    answer: list[int] = []
    model.engine.generate(GenerationRequest(prompt, max_tokens, model.end_tokens), answer.append, lambda: False)
    return answer
