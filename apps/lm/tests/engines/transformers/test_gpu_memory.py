"""Too little memory of the GPU is a reason not to start, told in one sentence; the GPU itself is in test_cuda.py."""

import pytest
import torch

from apps.lm.engines.transformers import gpu_memory, support
from apps.lm.engines.transformers.schedules import AlternatingBatch
from apps.lm.tests import tiny
from apps.lm.tests.engines.sequences import sequence
from apps.serving.identity import LoadError

ROWS, CONTEXT, CHUNK = 3, 24, 9


@pytest.fixture
def gpu(monkeypatch):
    """2 of 80 GB of a GPU are free; what is allocated there has no data."""
    empty = torch.empty
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2_000_000_000, 80_000_000_000))
    monkeypatch.setattr(torch, "empty", lambda *shape, **options: empty(*shape, **options | {"device": "meta"}))


@pytest.fixture
def model():
    return tiny.gpt2_model(300, None, CONTEXT)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 64.00 MiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_it_needs_and_what_is_free(model, gpu, monkeypatch, error):
    monkeypatch.setattr(model, "parameters", lambda: [torch.empty(1_350_000_000, device="meta")])
    with pytest.raises(LoadError) as refusal, gpu_memory.sufficient(model, 64, 4096):
        raise error
    assert str(refusal.value) == (
        "The model does not fit into the memory of the GPU, of whose 80.0 GB 2.0 GB were free: its weights take "
        "5.4 GB, to which come keys and values of 64 sequences (MAX_IN_FLIGHT) of 4096 tokens (MAX_TOTAL_TOKENS) and "
        "what a step computes. Lower these two, set DTYPE to bf16, or take a GPU with more free memory."
    )


def test_other_errors_stay_what_they_are(model, gpu):
    with pytest.raises(RuntimeError, match="device-side assert"), gpu_memory.sufficient(model, 1, 1):
        raise RuntimeError("CUDA error: device-side assert triggered")


@pytest.mark.parametrize("passes", [0, 2], ids=["in transformers", "in the batch"])
def test_a_lack_of_memory_is_not_mistaken_for_a_property_of_the_model(model, passes):
    calls: list[None] = []

    def fail(*_) -> None:
        calls.append(None)
        if len(calls) == passes + 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    model.register_forward_pre_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        support.check(model, CONTEXT)


def test_the_largest_steps_are_tried_before_the_first_request_and_change_no_answer(model):
    def tokens(batch: AlternatingBatch) -> list[list[int]]:
        sequences = [sequence((5, 6, row), max_tokens=CONTEXT - 3) for row in range(ROWS)]
        for each in sequences:
            batch.join(each)
        while len(batch):
            batch.step()
        return [each.tokens for each in sequences]

    shapes = []
    plain, tried = (AlternatingBatch(model, ROWS, CONTEXT, 2, CHUNK) for _ in range(2))
    hook = model.register_forward_pre_hook(
        lambda _, arguments, options: shapes.append((*arguments[0].shape, options["attention_mask"].shape[-1])),
        with_kwargs=True,
    )
    tried.try_largest_steps()
    assert shapes == [(1, CHUNK, CONTEXT), (ROWS, 1, CONTEXT)]
    hook.remove()
    assert tokens(tried) == tokens(plain)
