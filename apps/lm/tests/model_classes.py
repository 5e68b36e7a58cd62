"""Tells which causal classes of the installed transformers the torch engine serves, and why it refuses the others.

`python -m apps.lm.tests.model_classes` prints the list of the README; `--write` writes it there.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.protocol import GenerationRequest, Sampling
from apps.lm.engines.sampling import chooser
from apps.lm.engines.transformers import support
from apps.lm.engines.transformers.drawing import drawing
from apps.lm.engines.transformers.schedules import AlternatingBatch
from apps.lm.tests import tiny_classes
from apps.serving.identity import LoadError

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- model classes: start -->\n", "<!-- model classes: end -->\n"
CONTEXT, ROWS, CHUNK, LARGE_CHUNK = 24, 3, 3, 5
SERVED, WINDOW, UNBUILT = (
    "served",
    "served up to its window, which limits `MAX_TOTAL_TOKENS`",
    "transformers builds no small one here",
)


def outcome(model_type: str) -> str:
    """SERVED, WINDOW, UNBUILT, or why it is refused; AssertionError if it is served and computes something else."""
    try:
        model = tiny_classes.tiny_model(model_type)
    except Exception:
        return UNBUILT
    reason = refusal(model, CONTEXT)
    if not reason:
        require_same(model, CONTEXT)
        return SERVED
    if f"MAX_TOTAL_TOKENS to {tiny_classes.WINDOW}" not in reason:
        return reason
    if reason := refusal(model, tiny_classes.WINDOW):
        return reason
    require_same(model, tiny_classes.WINDOW)
    return WINDOW


def refusal(model: Any, context: int) -> str:
    """Why the engine refuses the model for sequences of `context` tokens; empty if it does not."""
    try:
        support.check(model, context)
    except LoadError as error:
        return str(error).partition(": ")[2]
    return ""


def require_same(model: Any, context: int) -> None:
    """Raise AssertionError unless each sequence draws the same tokens in plain transformers, alone and in company.

    Tokens are drawn at temperature 1, so that they depend on all logits.
    """
    requests = _requests(context)
    plain = [_plain(model, request) for request in requests]
    alone = [_in_batch(model, context, [request])[0] for request in requests]
    company = _in_batch(model, context, requests)
    assert plain == alone == company, f"{type(model).__name__}: {plain} plain, {alone} alone, {company} in company"


def _requests(context: int) -> list[GenerationRequest]:
    lengths = [1, context // 2, context - 2, context // 3, 2]
    prompts = [[(3 + 5 * row + 7 * n) % 90 + 3 for n in range(length)] for row, length in enumerate(lengths)]
    return [
        GenerationRequest(prompt, min(context - len(prompt), 8), sampling=Sampling(1.0, seed=seed))
        for seed, prompt in enumerate(prompts)
    ]


@torch.inference_mode()
def _plain(model: Any, request: GenerationRequest) -> list[int]:
    tokens, choose = list[int](), chooser(request, drawing)
    for _ in range(request.max_tokens):
        logits = model(torch.tensor([[*request.prompt, *tokens]], device=model.device)).logits[0, -1]
        tokens.append(choose(logits.float().cpu().numpy(), tokens))
    return tokens


def _in_batch(model: Any, context: int, requests: Sequence[GenerationRequest]) -> list[list[int]]:
    """The tokens of each request; they join one after another."""
    batch = AlternatingBatch(model, ROWS, context, CHUNK, LARGE_CHUNK)
    sequences = [BatchSequence(request) for request in requests]
    for sequence in sequences:
        batch.join(sequence)
        batch.step()
    while len(batch):
        batch.step()
    errors = [sequence.error for sequence in sequences if sequence.error]
    assert not errors, errors
    return [sequence.tokens for sequence in sequences]


def document(outcomes: Mapping[str, str]) -> str:
    """The list of the README: model types by outcome. `outcomes` are those of `outcome`."""
    types = defaultdict(list)
    for model_type, text in outcomes.items():
        types[text.partition(" (")[0].rstrip(".")].append(model_type)
    order = [key for key in (SERVED, WINDOW) if key in types]
    order += sorted(types.keys() - set(order), key=lambda key: -len(types[key]))
    return "".join(f"- **{key}** ({len(types[key])}): {', '.join(sorted(types[key]))}\n" for key in order)


if __name__ == "__main__":
    before, _, rest = README.read_text().partition(START)
    text = document({model_type: outcome(model_type) for model_type in tiny_classes.CLASSES})
    if "--write" in sys.argv:
        README.write_text(before + START + text + END + rest.partition(END)[2])
    else:
        print(text, end="")
