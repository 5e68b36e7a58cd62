"""The engine `transformers`: loads a local folder into torch, and refuses what would only look like a model.

Imports torch and transformers, which takes seconds: import it late. transformers must never be given a hub id
here; what it would download is not the hub module's business to know.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from apps.lm import chat_template, packing, precision, support
from apps.lm.batch import Batch
from apps.lm.batch_engine import BatchEngine
from apps.lm.budget import Budget
from apps.lm.model import LanguageModel
from apps.serving import cpu
from apps.serving.identity import LoadError

if TYPE_CHECKING:
    from apps.lm.settings import LanguageModelSettings
    from apps.lm.source import Source

LOCAL = {"local_files_only": True, "trust_remote_code": False}
# Logits nearer to each other than this may change places: bfloat16 moved SmolLM2's best ones by up to 0.34.
MARGINS = {torch.float32: 0.01, torch.bfloat16: 1.0}


def load(found: "Source", settings: "LanguageModelSettings") -> LanguageModel:
    """As `engines.load` says."""
    device = precision.device(settings.device)
    dtype = precision.dtype(settings.dtype, device)
    tokenizer, weights = load_model(found.folder, dtype)
    weights.to(device)
    if device.type == "cpu":
        packing.pack(weights)
    budget = Budget.within(settings.max_total_tokens, context_tokens(weights))
    support.check(weights, budget.total)
    reader = prompt_reader(device)
    batch = Batch(weights, settings.max_in_flight, budget.total, reader)
    facts = {
        "dtype": str(dtype).removeprefix("torch."),
        "device": device.type,
        "threads": threads() + (reader is not None),
        "max_total_tokens": budget.total,
        "max_batch_total_tokens": settings.capacity,
        "kv_cache_bytes": batch.most_bytes(settings.capacity),
    }
    return LanguageModel(
        found.identity(**facts),
        tokenizer,
        BatchEngine(batch),
        budget,
        end_tokens(tokenizer, weights),
        found.probes,
        MARGINS[dtype],
        chat_template.of(tokenizer),
    )


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """Return transformers' tokenizer and model, for inference; raise LoadError with one line."""
    _quiet()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, **LOCAL, config=configuration(folder), dtype=dtype, output_loading_info=True
        )
    except Exception as error:  # a folder can be wrong in ways that each library tells its own way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise LoadError(f"{str(folder)!r} is not a causal language model with its tokenizer ({reason}).") from error
    if missing := sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}):
        raise LoadError(
            f"{str(folder)!r} lacks weights that its config.json asks for, or has them in another shape: "
            f"{', '.join(missing[:3])} ({len(missing)} in all). Publish the model again."
        )
    return tokenizer, model.eval()


def configuration(folder: Path) -> Any:
    """The folder's config, with the attention that transformers takes by itself.

    A config.json may name another one, by the name of a repository too, whose code is fetched and run.
    """
    config = AutoConfig.from_pretrained(folder, **LOCAL)
    architecture = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    config._attn_implementation = "sdpa" if architecture._supports_sdpa else "eager"
    return config


def threads() -> int:
    """How many threads torch computes with."""
    return torch.get_num_threads()


def prompt_reader(device: torch.device) -> Executor | None:
    """A started thread for prompts, beside a single one that computes tokens, where there is a CPU for each."""
    if device.type != "cpu" or threads() > 1 or cpu.threads() == 1:
        return None
    reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
    reader.submit(threads).result()
    return reader


def context_tokens(model: Any) -> int | None:
    """The longest sequence that the model can read, in tokens; None where its config does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def end_tokens(tokenizer: Any, model: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return frozenset({*ends, tokenizer.eos_token_id} - {None})


def _quiet() -> None:
    """Let transformers speak through our JSON log, and draw no progress bars in it."""
    transformers_logging.disable_progress_bar()
    transformers_logging.disable_default_handler()
    transformers_logging.enable_propagation()
