"""A rounded model is published only while it reads fixed text nearly as the original does."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from training import agreement
from training.agreement import Reading
from training.errors import TrainingError
from training.lm_openvino import read

SAME = [Reading([1, 2, 3, 4, 5], [-1.0, -2.0, -1.0, -2.0]), Reading([6, 7, 8, 9, 10], [-1.0, -1.0, -3.0, -1.0])]


def changed(best: int = 0, nll: float = 0.0) -> list[Reading]:
    """SAME with `best` of its ten tokens replaced and each token `nll` nats less likely."""
    tokens = [token for reading in SAME for token in reading.best]
    tokens[:best] = [0] * best
    halves = tokens[:5], tokens[5:]
    return [
        Reading(half, [value - nll for value in reading.log_probabilities])
        for half, reading in zip(halves, SAME, strict=True)
    ]


def test_what_is_measured_is_what_the_manifest_says():
    assert agreement.compare(SAME, changed(best=1, nll=0.25)) == {
        "reference": "float32",
        "tokens": 10,
        "top1": 0.9,
        "nll": 1.75,
        "reference_nll": 1.5,
        "bounds": {"top1_least": agreement.TOP1_LEAST, "nll_above_reference_most": agreement.NLL_MOST},
    }


@pytest.mark.parametrize("found", [SAME, changed(best=1), changed(nll=0.04), changed(nll=-1)])
def test_within_the_bounds_it_may_be_published(found):
    agreement.require(agreement.compare(SAME, found))


def test_each_bound_that_is_broken_is_told_with_what_was_found():
    with pytest.raises(TrainingError) as refusal:
        agreement.require(agreement.compare(SAME, changed(best=2, nll=0.1)))
    assert str(refusal.value) == (
        "On 10 tokens of fixed text, top-1 agreement is 80.0%, at least 90% is wanted; a token's NLL is 0.100 nats "
        "above the reference's, at most 0.05 is wanted. Nothing is published. "
        "Keep this model on the engine transformers."
    )
    for one in (changed(best=2), changed(nll=0.1)):
        with pytest.raises(TrainingError, match=r"is wanted\. Nothing is published"):
            agreement.require(agreement.compare(SAME, one))


def test_a_reading_is_the_models_own_prediction_at_each_place():
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, initializer_range=0.4, **sizes)).eval()
    text = [3, 14, 15, 9]
    reading = read(model, text)
    for length in range(1, len(text) + 1):
        with torch.inference_mode():
            predicted = model(torch.tensor([text[:length]])).logits[0, -1].log_softmax(-1)
        assert reading.best[length - 1] == predicted.argmax()
        if length < len(text):
            assert reading.log_probabilities[length - 1] == pytest.approx(float(predicted[text[length]]), abs=1e-4)
    assert len(reading.best) == len(text)
