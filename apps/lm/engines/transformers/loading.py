"""Loads a model folder into torch, and refuses a folder that lacks weights or cannot be computed in a batch.

Import this module late, since torch and transformers take seconds to import. transformers must only get folders here,
never a hub id: `apps.lm.hub` alone decides what is downloaded.
"""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from apps.lm.engines import vocabulary
from apps.lm.engines.batching import BatchEngine
from apps.lm.engines.grammar import Grammars
from apps.lm.engines.protocol import EngineSettings, LoadedModel
from apps.lm.engines.transformers import gpu_memory, packing, precision, support
from apps.lm.engines.transformers.batch import TransformersBatch
from apps.lm.engines.transformers.schedules import GPU_CHUNK, GPU_LARGE_CHUNK, AlternatingBatch, OverlappingBatch
from apps.lm.engines.transformers.tokenizer import TransformersTokenizer
from apps.serving.identity import LoadError as LoadError  # training catches it
from apps.serving.machine import cpu

LOCAL = {"local_files_only": True, "trust_remote_code": False}
# Logits that differ by less may change their order: bfloat16 moved SmolLM2's largest logits by up to 0.34.
MARGINS = {torch.float32: 0.01, torch.bfloat16: 1.0}


def load(folder: Path, settings: EngineSettings) -> LoadedModel:
    """See `registry.load`."""
    device = precision.device(settings.device)
    dtype = precision.dtype(settings.dtype, device)
    tokenizer, model = load_model(folder, dtype)
    max_total_tokens = min(settings.max_total_tokens, support.context_tokens(model) or settings.max_total_tokens)
    executor = prefill_executor(device)
    make_batch = _batch_on_gpu if device.type == "cuda" else partial(_batch_on_cpu, executor)
    batch = make_batch(model, settings.max_in_flight, max_total_tokens)
    ends = end_tokens(tokenizer, model)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    grammars = Grammars(backend, model.config.get_text_config().vocab_size, ends)
    facts = {
        "dtype": str(dtype).removeprefix("torch."),
        "device": device.type,
        "threads": threads() + (executor is not None),
        "max_total_tokens": max_total_tokens,
        "max_batch_total_tokens": settings.capacity,
        "kv_cache_bytes": batch.max_cache_bytes(settings.capacity),
    }
    return LoadedModel(
        BatchEngine(batch),
        TransformersTokenizer(tokenizer),
        ends,
        max_total_tokens,
        MARGINS[dtype],
        facts,
        grammars.make,
    )


def _batch_on_cpu(executor: Executor | None, model: PreTrainedModel, rows: int, context: int) -> TransformersBatch:
    packing.pack(model)
    support.check(model, context)
    shape = model, rows, context
    return OverlappingBatch(*shape, executor) if executor else AlternatingBatch(*shape)


def _batch_on_gpu(model: PreTrainedModel, rows: int, context: int) -> TransformersBatch:
    torch.set_float32_matmul_precision("highest")  # fp32 is not TF32, which a variable of NVIDIA's images would make it
    module: torch.nn.Module = model  # transformers gives its `to` a wrong type
    with gpu_memory.sufficient(model, rows, context):
        module.to("cuda")
        support.check(model, context)
        batch = AlternatingBatch(model, rows, context, GPU_CHUNK, GPU_LARGE_CHUNK)
        batch.try_largest_steps()
    return batch


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Return tokenizer and model, ready for inference; raise LoadError with one line."""
    tokenizer, model, info = read(folder, dtype)
    if missing := sorted({*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}):
        raise LoadError(
            f"{str(folder)!r} lacks weights that its config.json asks for, or has them in another shape: "
            f"{', '.join(missing[:3])} ({len(missing)} in all). Publish the model again."
        )
    return tokenizer, model


def read(
    folder: Path, dtype: torch.dtype | Literal["auto"]
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, Mapping[str, Any]]:
    """Return tokenizer and model, and which weights were missing or not known; raise LoadError with one line.

    `dtype` auto: as the weights are stored.
    """
    _quiet()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
        loaded: Any = AutoModelForCausalLM.from_pretrained(  # a pair, because of output_loading_info
            folder, **LOCAL, config=configuration(folder), dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    except LoadError:
        raise
    except Exception as error:  # a folder can be wrong in many ways, and each library raises its own errors
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise LoadError(f"{str(folder)!r} is not a causal language model with its tokenizer ({reason}).") from error
    model, info = loaded
    files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if not any((folder / file).exists() for file in files):  # transformers makes one without a vocabulary
        raise LoadError(f"{str(folder)!r} has no tokenizer: it has none of {', '.join(sorted(files))}.")
    vocabulary.check(folder, tokenizer.get_vocab().values(), model.get_input_embeddings().num_embeddings)
    return tokenizer, model.eval(), info


def configuration(folder: Path) -> PreTrainedConfig:
    """The folder's configuration, with the attention that transformers would choose itself.

    A config.json can name another one, even by the name of a repository, whose code would be downloaded and run.
    Raises LoadError if transformers has no causal language model for it.
    """
    config: PreTrainedConfig = AutoConfig.from_pretrained(folder, **LOCAL)
    architecture: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if architecture is None:
        raise LoadError(
            f"{str(folder)!r} is not a causal language model: transformers has none of the type "
            f"{config.model_type!r}, which its config.json names."
        )
    config._attn_implementation = "sdpa" if architecture._supports_sdpa else "eager"
    return config


def threads() -> int:
    """The number of threads that torch computes with."""
    return torch.get_num_threads()


def prefill_executor(device: torch.device) -> Executor | None:
    """Return one started thread for prefill, if decode uses one thread and there is a CPU for each; otherwise None."""
    if device.type != "cpu" or threads() > 1 or cpu.threads() == 1:
        return None
    executor = ThreadPoolExecutor(1, thread_name_prefix="prefill")
    executor.submit(threads).result()
    return executor


def end_tokens(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> frozenset[int]:
    """The tokens that end an answer."""
    configured = model.generation_config.eos_token_id
    tokens = configured if isinstance(configured, list) else [configured]
    return frozenset({*tokens, tokenizer.eos_token_id} - {None})


def _quiet() -> None:
    """Send transformers' messages to our JSON log, without progress bars."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # has no types
    transformers_logging.disable_default_handler()
    transformers_logging.enable_propagation()
