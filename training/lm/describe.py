"""Describes a transformers folder for its manifest, and refuses one that does not load cleanly."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NotRequired, Protocol, TypedDict, cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from apps.lm.engines.transformers import loading, support
from training.errors import TrainingError
from training.libraries import versions

PROMPTS = (
    "The capital of France is",
    "1, 2, 3, 4, 5, 6,",
    "2, 4, 6, 8, 10,",
    "a b c d e f g",
)  # SmolLM2's best token leads clearly at each step of these, also in bfloat16
NEW_TOKENS = 8


class Generated(Protocol):
    """The output of `generate`, which transformers declares as a union of types: token ids and the logits per step."""

    sequences: torch.Tensor
    logits: tuple[torch.Tensor, ...]


class Probe(TypedDict):
    """A prompt and its greedy continuation: token ids, the end token included, and their text.

    `min_margin` is the smallest difference between the two largest logits of a step. An engine whose logits
    differ from these by less than half of it must generate the same ids.
    """

    prompt: str
    max_new_tokens: int
    prompt_tokens: int
    token_ids: list[int]
    generated_text: str
    min_margin: float


class Description(TypedDict):
    """The manifest's keys that follow from the model itself."""

    engine: str
    input: dict[str, object]
    hyperparameters: dict[str, object]
    libraries: dict[str, str]
    probes: list[Probe]
    metrics: NotRequired[dict[str, object]]


def describe(folder: Path, engine: str = "transformers", reference: PreTrainedModel | None = None) -> Description:
    """Describe a model folder for the engine that will serve it.

    Raises TrainingError if a weight is missing, unknown or of another shape, or if the engine `transformers` would
    refuse to serve the model. With `reference`, the folder's model must compute the same logits as that model, bit for
    bit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tokenizer, model, info = loading.read(folder, "auto")
        if problems := {key: sorted(map(str, names)) for key, names in info.items() if names}:
            raise TrainingError(f"'{folder}' does not load cleanly: {problems}. Export it from its source again.")
        if engine == "transformers":
            support.check(model)
        context = support.longest(model) if engine == "transformers" else support.context_tokens(model)
    except loading.LoadError as error:
        raise TrainingError(str(error)) from error
    if reference is not None:
        _require_same_logits(model, reference, tokenizer)
    return {
        "engine": "transformers",
        "input": {
            "kind": "text",
            "context_tokens": context,
            "vocabulary": model.get_input_embeddings().num_embeddings,
        },
        "hyperparameters": {
            "architecture": type(model).__name__,
            "parameters": model.num_parameters(),
            "dtype": str(model.dtype).removeprefix("torch."),
            "chat_template": tokenizer.chat_template is not None,
        },
        "libraries": versions("transformers", "torch", "tokenizers", "safetensors"),
        "probes": [probe(model, tokenizer, prompt) for prompt in PROMPTS],
    }


def probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str) -> Probe:
    """Return the greedy continuation of `prompt`, of at most NEW_TOKENS tokens."""
    tokens = tokenizer(prompt, return_tensors="pt")
    greedy = {
        "do_sample": False,
        "temperature": None,
        "top_p": None,
        "top_k": None,
        "repetition_penalty": 1.0,
    }
    generate = cast("Callable[..., Generated]", model.generate)
    with torch.inference_mode():
        output = generate(
            **tokens, **greedy, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True, output_logits=True
        )
    ids = output.sequences[0, tokens.input_ids.shape[1] :].tolist()
    best = torch.cat(output.logits).float().topk(2, dim=1).values
    return {
        "prompt": prompt,
        "max_new_tokens": NEW_TOKENS,
        "prompt_tokens": tokens.input_ids.shape[1],
        "token_ids": ids,
        "generated_text": str(tokenizer.decode(ids, skip_special_tokens=True)),
        "min_margin": round(float((best[:, 0] - best[:, 1]).min()), 4),
    }


def _require_same_logits(
    model: PreTrainedModel, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    for prompt in PROMPTS:
        tokens = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            same = torch.equal(model(**tokens).logits, reference(**tokens).logits)
        if not same:
            raise TrainingError("The saved model's logits differ from its source's. Nothing is published.")
