"""The engine `openvino`: loads a folder that `python -m training lm --engine openvino` has published."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from apps.lm import chat_template, openvino_batch
from apps.lm.batch_engine import BatchEngine
from apps.lm.budget import Budget
from apps.lm.model import LanguageModel
from apps.lm.plain_tokenizer import PlainTokenizer
from apps.serving import cpu
from apps.serving.identity import LoadError

if TYPE_CHECKING:
    from apps.lm.settings import LanguageModelSettings
    from apps.lm.source import Source

MARGIN = 1.0  # between logits: those of 8 bits on different processors may differ by a part of it


def load(found: "Source", settings: "LanguageModelSettings") -> LanguageModel:
    """As `engines.load` says."""
    threads = cpu.threads()
    try:
        with ThreadPoolExecutor() as pool:  # the longest part computes on one core
            reading = pool.submit(PlainTokenizer, found.folder)
            pipeline = openvino_batch.pipeline(found.folder, settings.max_in_flight, settings.capacity, threads)
            batch = openvino_batch.OpenVinoBatch(pipeline)
            cache_bytes = batch.cache_bytes()
            tokenizer = reading.result()
        budget = Budget.within(settings.max_total_tokens, _read(found.folder, "config")["max_position_embeddings"])
        ends = _ends(found.folder, tokenizer)
    except Exception as error:  # a folder can be wrong in ways that each library tells its own way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise LoadError(f"{str(found.folder)!r} is not a model for OpenVINO with its tokenizer ({reason}).") from error
    facts = {
        "dtype": "int8",
        "device": "cpu",
        "threads": threads,
        "max_total_tokens": budget.total,
        "max_batch_total_tokens": settings.capacity,
        "kv_cache_bytes": cache_bytes,
    }
    return LanguageModel(
        found.identity(**facts),
        tokenizer,
        BatchEngine(batch),
        budget,
        ends,
        found.probes,
        MARGIN,
        chat_template.of(tokenizer),
    )


def _ends(folder: Path, tokenizer: PlainTokenizer) -> frozenset[int]:
    ends = _read(folder, "generation_config").get("eos_token_id")
    return frozenset({*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None})


def _read(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())
