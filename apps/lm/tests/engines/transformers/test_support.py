"""Models that the batch would compute wrongly are refused."""

from typing import Any

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from apps.lm.engines.transformers import support
from apps.lm.tests import tiny
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
    with pytest.raises(LoadError, match="Set MAX_TOTAL_TOKENS to 16"):
        support.check(model, 17)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BloomForCausalLM(BloomConfig(vocab_size=100, hidden_size=32, n_layer=2, n_head=4)),
        lambda: MambaForCausalLM(MambaConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2)),
    ],
)
def test_a_model_without_rows_of_keys_and_values_is_refused_in_one_line(make):
    torch.manual_seed(1)
    with pytest.raises(LoadError, match="cannot be served by the engine of this service") as refusal:
        support.check(make().eval(), 32)
    assert "\n" not in str(refusal.value)
