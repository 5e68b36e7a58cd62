"""Compares the loaded model with what it answered when it was published, which also warms it up."""

from typing import TYPE_CHECKING, Any

from apps.lm.engine import Generation
from apps.serving.identity import LoadError

if TYPE_CHECKING:
    from apps.lm.model import LanguageModel

STEPS = 4  # tokens; each costs start-up time, and the first one already needs every weight
PLAIN: dict[str, Any] = {"prompt": "Once", "token_ids": [], "min_margin": 0}  # for a model without such probes


def check(model: "LanguageModel") -> None:
    """Raise LoadError where a probe's prompt has other tokens, or the first that is sure enough another answer."""
    for probe in model.probes:
        count = len(model.tokenize(probe["prompt"]))
        _compare(model, probe, "the prompt's tokens", count, probe["prompt_tokens"])
    probe = next((probe for probe in model.probes if probe["min_margin"] >= model.margin), PLAIN)
    answer = _answer(model, probe["prompt"])
    if probe is not PLAIN:
        _compare(model, probe, "the answer's first tokens", answer, probe["token_ids"][: len(answer)])


def _compare(model: "LanguageModel", probe: dict, what: str, here: object, published: object) -> None:
    if here != published:
        raise LoadError(
            f"{model.identity.name} {model.identity.version}, probe {probe['prompt']!r}: {what} are "
            f"{here} here and were {published} when published. Publish it again with the libraries of here."
        )


def _answer(model: "LanguageModel", text: str) -> list[int]:
    tokens = model.tokenize(text)
    most = min(STEPS, model.budget.total - len(tokens))
    return list(model.engine.generate(Generation(tokens, most, model.ends), lambda: False)) if most > 0 else []
