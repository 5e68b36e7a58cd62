"""Loads a folder that `python -m training lm --engine openvino` has published."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from apps.lm.engines import vocabulary
from apps.lm.engines.batching import BatchEngine
from apps.lm.engines.grammar import Grammars
from apps.lm.engines.openvino.batch import OpenVinoBatch
from apps.lm.engines.openvino.chunk import BLOCK
from apps.lm.engines.openvino.paged_model import PagedModel
from apps.lm.engines.openvino.plain_tokenizer import PlainTokenizer
from apps.lm.engines.protocol import EngineSettings, LoadedModel
from apps.serving.identity import LoadError
from apps.serving.machine import cpu

MARGIN = 1.0  # between logits: with 8-bit weights they can differ by a part of it from processor to processor


def load(folder: Path, settings: EngineSettings) -> LoadedModel:
    """See `registry.load`."""
    if settings.device == "cuda":
        raise LoadError("DEVICE='cuda', and the engine openvino computes on CPUs only. Set DEVICE to auto or cpu.")
    threads = cpu.threads()
    try:
        with ThreadPoolExecutor() as pool:  # compiling takes longest, on one core
            tokenizer_future = pool.submit(PlainTokenizer, folder)
            # The last block of each sequence is partly empty.
            blocks = settings.capacity // BLOCK + settings.max_in_flight + 1
            model = PagedModel(folder, blocks, threads)
            tokenizer = tokenizer_future.result()
        config = _read(folder / "config.json")
        context = config["max_position_embeddings"]
        max_total_tokens = min(settings.max_total_tokens, context or settings.max_total_tokens)
        end_tokens = _end_tokens(folder, tokenizer)
        tokens = config["vocab_size"]
    except Exception as error:  # a folder can be wrong in many ways, and each library raises its own errors
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise LoadError(f"{str(folder)!r} is not a model for OpenVINO with its tokenizer ({reason}).") from error
    vocabulary.check(folder, tokenizer.ids, tokens)
    facts = {
        "dtype": "int8",
        "device": "cpu",
        "threads": threads,
        "max_total_tokens": max_total_tokens,
        "max_batch_total_tokens": settings.capacity,
        "kv_cache_bytes": model.cache_bytes,
    }
    batch = OpenVinoBatch(model, settings.max_in_flight, blocks, threads)
    grammars = Grammars(tokenizer.backend, tokens, end_tokens)
    return LoadedModel(BatchEngine(batch), tokenizer, end_tokens, max_total_tokens, MARGIN, facts, grammars.make)


def _end_tokens(folder: Path, tokenizer: PlainTokenizer) -> frozenset[int]:
    configured = _read(folder / "generation_config.json").get("eos_token_id")
    tokens = configured if isinstance(configured, list) else [configured]
    return frozenset({*tokens, tokenizer.eos_token_id} - {None})


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content
