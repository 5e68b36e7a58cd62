"""Lays out the weights of a model once in the order in which oneDNN computes with them.

A plain linear layer hands its weights to a general routine: for the 8 rows of a batch of answers in float32 it took
half as long again.
"""

from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from apps.serving import cpu


class PackedLinear(torch.nn.Module):
    """Computes what a linear layer with `weight` of shape (outputs, inputs) and `bias` does."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, None)  # some models look at its dtype
        self.bias = bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Take (…, inputs), return (…, outputs)."""
        return torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, "none", [], "")


@torch.inference_mode()
def pack(model: Any) -> None:
    """Replace the linear layers of `model`, which is on a CPU; what was mapped from a file is let go of."""
    if not torch.backends.mkldnn.is_available():
        return
    if model.dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return  # it refuses them on CPUs without AVX-512, where plain layers compute with them
    threads = torch.get_num_threads()
    torch.set_num_threads(cpu.threads())  # nobody is served yet: no CPU is to be left to anyone
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) in (torch.nn.Linear, Conv1D):
                weight = layer.weight if type(layer) is torch.nn.Linear else layer.weight.T.contiguous()
                setattr(module, name, PackedLinear(weight, layer.bias))
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    torch.set_num_threads(threads)
