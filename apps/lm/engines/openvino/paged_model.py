"""A model with a paged KV cache: one forward pass for chunks of many sequences, whose blocks lie anywhere in the cache.

OpenVINO turns a traced model into this form. Its inputs are those of OpenVINO GenAI and vLLM: all chunks one after
another, where each begins, how many tokens before it are in the cache, and which blocks have them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
from openvino import opset15 as operations
from openvino._offline_transformations import paged_attention_transformation

from apps.lm.engines.openvino.chunk import BLOCK, Chunk
from apps.lm.engines.sampling import Logits

KEPT = "kept"  # an input that we add
# The same on every CPU, whatever it prefers. The precision of weights and cache is part of a model's version: agreement
# with the original model was measured with exactly these properties.
PRECISION = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f16",  # each token by itself; in 8 bits a whole block is rounded together
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64,  # activations that share a scale: a fifth faster than the default, 32
}
PROPERTIES = PRECISION | {"ENABLE_CPU_PINNING": False}  # a pinned thread would wait while another process has its core


class PagedModel:
    """The model in `folder`, with a KV cache of `blocks` blocks. Not thread-safe.

    A token's logits are the same to the last bit, whatever other chunks are computed with it.
    """

    def __init__(self, folder: Path, blocks: int, threads: int) -> None:
        core = openvino.Core()
        model = core.read_model(folder / "openvino_model.xml")
        paged_attention_transformation(model)
        _compute_kept_logits_only(model)
        compiled = core.compile_model(model, "CPU", PROPERTIES | {"INFERENCE_NUM_THREADS": threads})
        self._request = compiled.create_infer_request()
        # With fewer chunks than threads, OpenVINO divides attention among them and adds up in another order.
        self._fewest_chunks, self._padding = threads, Chunk([0], 0, [blocks], 0)
        self.cache_bytes = 0
        for name in compiled.inputs:
            if "_cache." in name.any_name:
                shape = [blocks + 1, *(dimension.get_length() for dimension in list(name.partial_shape)[1:])]
                tensor = openvino.Tensor(name.element_type, shape)
                self._request.set_tensor(name, tensor)
                self.cache_bytes += tensor.byte_size

    def logits(self, chunks: Sequence[Chunk]) -> Logits:
        """Add the chunks to the cache; return the logits of shape (all `keep` together, vocabulary).

        The array is only valid until the next call.
        """
        chunks = [*chunks, *[self._padding] * (self._fewest_chunks - len(chunks))]
        lengths, sizes = [chunk.length for chunk in chunks], [len(chunk.tokens) for chunk in chunks]
        blocks = [chunk.blocks[: -(-(chunk.length + len(chunk.tokens)) // BLOCK)] for chunk in chunks]
        ends = np.cumsum(sizes)
        kept = [np.arange(end - chunk.keep, end) for end, chunk in zip(ends, chunks, strict=True)]
        inputs = {
            "input_ids": np.concatenate([np.asarray(chunk.tokens, np.int64) for chunk in chunks]),
            "position_ids": np.concatenate(
                [np.arange(length, length + size) for length, size in zip(lengths, sizes, strict=True)]
            ),
            "past_lens": np.array(lengths, np.int32),
            "subsequence_begins": np.array([0, *ends], np.int32),
            "block_indices": np.concatenate([np.array(part, np.int32) for part in blocks]),
            "block_indices_begins": np.array([0, *np.cumsum([len(part) for part in blocks])], np.int32),
            "max_context_len": np.array(max(map(sum, zip(lengths, sizes, strict=True))), np.int32),
            KEPT: np.concatenate(kept).astype(np.int64),
        }
        for name, array in inputs.items():
            self._request.set_tensor(name, openvino.Tensor(array))
        self._request.infer()
        logits: Logits = self._request.get_tensor("logits").data[:, 0]
        return logits


def _compute_kept_logits_only(model: openvino.Model) -> None:
    """Multiply with the matrix of the vocabulary, the largest of all, only for the tokens at the input `kept`."""
    multiplication = model.get_results()[0].input_value(0).get_node()
    kept = operations.parameter([-1], np.int64, KEPT)
    kept.output(0).set_names({KEPT})
    rows = operations.gather(multiplication.input_value(0), kept, operations.constant(np.int64(0)))
    multiplication.input(0).replace_source_output(rows.output(0))
    model.add_parameters([kept])
    model.validate_nodes_and_infer_types()
