"""`python -m apps.lm.tests.engines.transformers.speed` measures tokens/s of the service beside transformers' own.

Both compute the same prompts with a model of SmolLM2-135M's shape and random weights, on a GPU where there is one. The
service answers over HTTP; `generate` computes all prompts as one batch, which begins and ends together.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from apps.lm.tests import process, tiny

SEQUENCES = (1, 8, 32, 128)
VOCABULARY, PROMPT, ANSWER = 49152, 128, 96  # tokens
TEMPERATURES = {"greedy": 0.0, "sampled": 1.0}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def save(folder: Path, dtype: torch.dtype) -> Path:
    """Publish a model of SmolLM2-135M's shape with random weights, and a tokenizer that knows all of its ids."""
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=8192, tie_word_embeddings=True, eos_token_id=None,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config)  # transformers gives its `to` a wrong type
    model.to(dtype).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({f"Ġ{number}": number for number in range(VOCABULARY)}, "Ġ0"))
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return tiny.publish(folder)


def prompts(count: int) -> list[list[int]]:
    """Prompts of PROMPT tokens, each another."""
    return [[(17 * row + 31 * n) % VOCABULARY for n in range(PROMPT)] for row in range(count)]


def service(folder: Path, dtype: str, temperature: float) -> tuple[str, list[float]]:
    """Where the service computes, and its tokens/s for each of SEQUENCES."""
    budget = PROMPT + ANSWER
    settings = {"max_in_flight": max(SEQUENCES), "max_total_tokens": budget, "dtype": dtype}
    settings["max_batch_total_tokens"] = max(SEQUENCES) * budget
    with (
        process.serving(model_name=folder, request_timeout_seconds=600, **settings) as running,
        process.client(running) as client,
        ThreadPoolExecutor(max(SEQUENCES)) as pool,
    ):
        model = client.get("/healthz").json()["model"]
        body = {"model": model["name"], "max_tokens": ANSWER, "ignore_eos": True, "temperature": temperature}

        def complete(batch: Sequence[list[int]]) -> None:
            post: Callable[[list[int]], Any] = lambda prompt: client.post(  # noqa: E731
                "/v1/completions", json=body | {"prompt": prompt}, timeout=600
            )
            usages = [answer.json()["usage"]["completion_tokens"] for answer in pool.map(post, batch)]
            assert usages == [ANSWER] * len(batch)

        return model["device"], _rates(complete)


def plain(folder: Path, dtype: str, device: str, temperature: float) -> list[float]:
    """Tokens/s of `generate` for each of SEQUENCES."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[dtype])
    model.to(device)

    def complete(batch: Sequence[list[int]]) -> None:
        ids = torch.tensor(batch, device=device)
        options = {"do_sample": True, "top_k": 0} if temperature else {"do_sample": False}
        answers = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER, pad_token_id=0, **options
        )
        assert answers.shape == (len(batch), PROMPT + ANSWER)

    return _rates(complete)


def _rates(complete: Callable[[Sequence[list[int]]], None]) -> list[float]:
    complete(prompts(1))  # warms up
    rates = []
    for count in SEQUENCES:
        batch = prompts(count)
        started = time.monotonic()
        complete(batch)
        rates.append(count * ANSWER / (time.monotonic() - started))
    return rates


if __name__ == "__main__":
    for dtype in DTYPES:
        with tempfile.TemporaryDirectory() as parent:
            folder = save(Path(parent) / "shape_v1", DTYPES[dtype])
            for name, temperature in TEMPERATURES.items():
                device, served = service(folder, dtype, temperature)
                print(f"{dtype} on {device}, {name}: sequences, tokens/s of the service, of generate", flush=True)
                for row in zip(SEQUENCES, served, plain(folder, dtype, device, temperature), strict=True):
                    print("{:5d} {:8.0f} {:8.0f}".format(*row), flush=True)
