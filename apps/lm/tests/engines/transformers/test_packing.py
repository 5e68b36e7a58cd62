"""Packed weights compute the same, for both ways in which models keep them, and are really packed."""

import copy

import pytest
import torch
from transformers.pytorch_utils import Conv1D

from apps.lm.engines.transformers import packing
from apps.lm.tests import tiny


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
@torch.inference_mode()
def test_a_packed_model_computes_what_it_did(family, dtype):
    plain = tiny.FAMILIES[family][1](300, None, 40).to(dtype)
    packed = copy.deepcopy(plain)
    packing.pack(packed)
    tokens = torch.arange(80).view(2, 40)
    expected, found = plain(tokens).logits, packed(tokens).logits
    assert (found - expected).abs().max() < (1e-4 if dtype is torch.float32 else 0.05) * expected.abs().max()


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_no_linear_layer_is_left_as_it_was(family):
    model = tiny.FAMILIES[family][1](300, None, 40)
    before = [module for module in model.modules() if isinstance(module, (torch.nn.Linear, Conv1D))]
    packing.pack(model)
    after = [module for module in model.modules() if isinstance(module, packing.PackedLinear)]
    assert len(after) == len(before) > 8
    assert not [module for module in model.modules() if isinstance(module, (torch.nn.Linear, Conv1D))]


def test_weights_that_are_kept_let_go_of_their_file():
    model = tiny.FAMILIES["gpt2"][1](300, None, 40)
    mapped = model.transformer.wte.weight.data_ptr()
    packing.pack(model)
    assert model.transformer.wte.weight.data_ptr() != mapped
