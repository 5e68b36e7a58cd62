"""Packed weights compute the same, for both classes of linear layers, and no layer is left unpacked."""

import copy
from typing import Any

import pytest
import torch
from transformers.pytorch_utils import Conv1D

from apps.lm.engines.transformers import packing
from apps.lm.tests import tiny


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
@torch.inference_mode()
def test_a_packed_model_computes_the_same(family, dtype):
    plain = tiny.FAMILIES[family][1](300, None, 40).to(dtype)
    packed = copy.deepcopy(plain)
    packing.pack(packed)
    tokens = torch.arange(80).view(2, 40)
    expected, actual = plain(tokens).logits, packed(tokens).logits
    assert (actual - expected).abs().max() < (1e-4 if dtype is torch.float32 else 0.05) * expected.abs().max()


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_all_linear_layers_are_packed(family):
    model = tiny.FAMILIES[family][1](300, None, 40)
    before = [module for module in model.modules() if isinstance(module, (torch.nn.Linear, Conv1D))]
    packing.pack(model)
    after = [module for module in model.modules() if isinstance(module, packing.PackedLinear)]
    assert len(after) == len(before) > 8
    assert not [module for module in model.modules() if isinstance(module, (torch.nn.Linear, Conv1D))]


def test_other_weights_are_copied_so_that_their_file_is_freed():
    model: Any = tiny.FAMILIES["gpt2"][1](300, None, 40)
    mapped = model.transformer.wte.weight.data_ptr()
    packing.pack(model)
    assert model.transformer.wte.weight.data_ptr() != mapped
