"""A converted model is published only if its predictions on fixed texts are close to the original's."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from training.errors import TrainingError
from training.lm.openvino import agreement
from training.lm.openvino.agreement import Reading
from training.lm.openvino.convert import read

SAME: list[Reading] = [
    {"best": [1, 2, 3, 4, 5], "log_probabilities": [-1.0, -2.0, -1.0, -2.0]},
    {"best": [6, 7, 8, 9, 10], "log_probabilities": [-1.0, -1.0, -3.0, -1.0]},
]


def changed(best: int = 0, nll: float = 0.0) -> list[Reading]:
    """SAME with `best` of its ten predictions replaced and each token `nll` nats less likely."""
    tokens = [token for reading in SAME for token in reading["best"]]
    tokens[:best] = [0] * best
    halves = tokens[:5], tokens[5:]
    return [
        {"best": half, "log_probabilities": [value - nll for value in reading["log_probabilities"]]}
        for half, reading in zip(halves, SAME, strict=True)
    ]


def test_comparison_has_the_keys_of_the_manifest():
    assert agreement.compare(SAME, changed(best=1, nll=0.25)) == {
        "reference": "float32",
        "tokens": 10,
        "top1": 0.9,
        "nll": 1.75,
        "reference_nll": 1.5,
        "bounds": {"top1_least": agreement.MIN_TOP1, "nll_above_reference_most": agreement.MAX_NLL_INCREASE},
    }


@pytest.mark.parametrize("converted", [SAME, changed(best=1), changed(nll=0.04), changed(nll=-1)])
def test_model_within_the_bounds_is_accepted(converted):
    agreement.require(agreement.compare(SAME, converted))


def test_each_violated_bound_is_reported_with_the_measured_value():
    with pytest.raises(TrainingError) as refusal:
        agreement.require(agreement.compare(SAME, changed(best=2, nll=0.1)))
    assert str(refusal.value) == (
        "On 10 tokens of fixed text, top-1 agreement is 80.0% and must be at least 90%; a token's NLL is 0.100 nats "
        "above the reference's and may be at most 0.05 above it. Nothing is published. "
        "Keep this model on the engine transformers."
    )
    for converted, bound in ((changed(best=2), "at least 90%"), (changed(nll=0.1), r"at most 0\.05 above it")):
        with pytest.raises(TrainingError, match=rf"{bound}\. Nothing is published"):
            agreement.require(agreement.compare(SAME, converted))


def test_reading_has_the_models_prediction_at_each_position():
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.4,
    )
    model = LlamaForCausalLM(config).eval()
    text = [3, 14, 15, 9]
    reading = read(model, text)
    for length in range(1, len(text) + 1):
        with torch.inference_mode():
            predicted = model(torch.tensor([text[:length]])).logits[0, -1].log_softmax(-1)
        assert reading["best"][length - 1] == predicted.argmax()
        if length < len(text):
            assert reading["log_probabilities"][length - 1] == pytest.approx(float(predicted[text[length]]), abs=1e-4)
    assert len(reading["best"]) == len(text)
