"""Models that the batch would compute wrongly are refused."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from apps.lm.engines.transformers import support
from apps.lm.tests import model_classes, tiny, tiny_classes
from apps.serving.identity import LoadError

SMALL: dict[str, Any] = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_models_with_full_attention_are_served(family):
    support.check(tiny.FAMILIES[family][1](100, None, 32), 32)


def test_a_model_with_a_sliding_window_is_served_up_to_its_window():
    config = MistralConfig(**SMALL, num_key_value_heads=2, intermediate_size=64, sliding_window=16)
    model = MistralForCausalLM(config).eval()
    support.check(model, 16)
    with pytest.raises(LoadError, match="it looks back 16 tokens only"):
        support.check(model, 17)


def test_a_model_with_longrope_is_served_up_to_the_length_at_which_scaling_changes():
    rope: dict[str, Any] = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 16}
    factors = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    config = LlamaConfig(**SMALL, intermediate_size=64, max_position_embeddings=64, rope_parameters=rope | factors)
    model = LlamaForCausalLM(config).eval()
    support.check(model, 16)
    with pytest.raises(LoadError, match="Set MAX_TOTAL_TOKENS to 16 or less"):
        support.check(model, 17)


SLOW = ("gptj", "codegen", "gemma2", "xglm", "gpt_oss", "mpt")


@pytest.mark.parametrize("model_type", ["gpt_neo", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_model_that_adds_masks_computes_the_same_alone_in_company_and_in_transformers(model_type):
    model = tiny_classes.tiny_model(model_type)
    support.check(model, tiny_classes.WINDOW)
    model_classes.require_same(model, tiny_classes.WINDOW)


@pytest.mark.parametrize("model_type", ["gpt_neo", "llama4_text", "gpt_oss", "mistral"])
def test_a_window_is_a_limit_whatever_a_model_calls_it(model_type):
    with pytest.raises(LoadError, match=r"it looks back 8 tokens only\. Set MAX_TOTAL_TOKENS to 8 or less"):
        support.check(tiny_classes.tiny_model(model_type), 9)


def test_doge_is_served_as_long_as_it_keeps_all_keys():
    with pytest.raises(LoadError, match=r"beyond 8 tokens one sequence changes the others\. Set MAX_TOTAL_TOKENS to 8"):
        support.check(tiny_classes.tiny_model("doge"), 9)


def test_a_window_that_no_layer_uses_is_no_limit():
    model = tiny_classes.tiny_model("qwen2_moe")
    model.config.sliding_window = 0
    support.check(model, 16)


REASONS = {
    "bart": "it counts the positions of tokens in its own way",
    "bloom": "it counts the positions of tokens in its own way",
    "mamba": "it keeps more than keys and values of each token (LinearAttentionLayer)",
    "openai-gpt": "it does not keep its keys and values in the cache of transformers",
    "roberta": "it counts the positions of tokens in its own way",
    "xlnet": "its tokens depend on the tokens after them, so that it is no causal language model",
}


@pytest.mark.slow
@pytest.mark.parametrize("model_type", REASONS)
def test_a_model_that_cannot_be_served_is_refused_with_the_reason(model_type):
    model = tiny_classes.tiny_model(model_type)
    with pytest.raises(LoadError) as refusal:
        support.check(model, 16)
    name = tiny_classes.CLASSES[model_type]
    assert str(refusal.value) == f"{name} cannot be served by the engine of this service: {REASONS[model_type]}."


def test_damaged_weights_are_the_reason_if_they_are():
    model = tiny.FAMILIES["llama"][1](100, None, 32)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 4] = torch.nan
    with pytest.raises(LoadError, match="its weights make logits that are not finite numbers"):
        support.check(model, 16)


def test_each_row_is_compared_not_only_the_longest():
    model = tiny_classes.tiny_model("gpt_neo")
    model.config._attn_implementation = "sdpa"  # it gets the boolean mask of SDPA, and adds it to its scores
    with pytest.raises(LoadError, match="its logits differ in a batch from those in transformers"):
        support.check(model, 8)
