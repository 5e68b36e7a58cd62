"""On a GPU, answers are those of the CPU, alone and in company. CI has no GPU: run this file on a machine with one."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from apps.lm.engines.protocol import GenerationRequest, Sampling
from apps.lm.engines.transformers import support
from apps.lm.model import LanguageModel
from apps.lm.tests import model_classes, tiny, tiny_classes
from apps.serving.identity import LoadError

if not torch.cuda.is_available():
    pytest.skip("torch finds no GPU here", allow_module_level=True)

pytestmark = pytest.mark.full
CLASSES = ["gpt2", "gpt_neo", "gemma2", "llama", "mixtral", "qwen3"]
MANY = 65_536  # sequences, whose keys and values take 0.8 GB


def answer(model: LanguageModel, **sampling: Any) -> list[int]:
    tokens: list[int] = []
    request = GenerationRequest([5, 6, 7], 24, sampling=Sampling(**sampling))
    model.engine.generate(request, tokens.append, lambda: False)
    return tokens


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_auto_computes_on_the_gpu_what_the_cpu_computes(folders, load, family):
    models: Mapping[str, LanguageModel] = {
        device: load(folders[family], device=device, max_total_tokens=tiny.CONTEXT) for device in ("auto", "cpu")
    }
    assert models["auto"].identity.facts["device"] == "cuda"
    samplings: list[dict[str, Any]] = [
        {},
        {"temperature": 1.0, "seed": 7},
        {"temperature": 0.8, "top_p": 0.9, "seed": 11},
        {"repetition_penalty": 1.3, "presence_penalty": 0.5, "logit_bias": {9: 2.0}},
    ]
    for sampling in samplings:
        assert answer(models["auto"], **sampling) == answer(models["cpu"], **sampling), sampling


@pytest.mark.parametrize("model_type", CLASSES)
def test_each_sequence_gets_the_same_tokens_alone_in_company_and_in_transformers(model_type):
    torch.set_float32_matmul_precision("highest")
    model = tiny_classes.tiny_model(model_type).to("cuda")
    support.check(model, tiny_classes.WINDOW)
    model_classes.require_same(model, tiny_classes.WINDOW)


@pytest.mark.parametrize("model_type", CLASSES)
def test_the_check_at_load_accepts_bfloat16(model_type):
    support.check(tiny_classes.tiny_model(model_type).to("cuda", torch.bfloat16), tiny_classes.WINDOW)


def test_float32_is_not_tf32_whatever_was_set(folders, load):
    torch.set_float32_matmul_precision("high")
    load(folders["llama"])
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_cache_that_does_not_fit_is_refused_in_one_sentence(folders, load):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2**29 / torch.cuda.mem_get_info()[1])
    try:
        with pytest.raises(LoadError, match=rf"does not fit into the memory of the GPU, .* {MANY} sequences"):
            load(folders["llama"], max_in_flight=MANY, max_total_tokens=tiny.CONTEXT)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
