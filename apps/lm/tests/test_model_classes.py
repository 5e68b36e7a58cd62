"""Every causal class of the installed transformers is the same alone, in company and in transformers, or refused."""

import pytest

from apps.lm.tests import model_classes, tiny_classes

# transformers' own errors: a library that is not installed, a configuration for another class, a draft of another model
UNBUILT = {"dots3_note", "gemma3n", "gemma4_assistant", "gemma4_unified_assistant", "musicgen", "musicgen_melody"}
REASONS = (
    "it counts the positions of tokens in its own way",
    "it does not keep its keys and values in the cache of transformers",
    "it keeps more than keys and values of each token",
    "its tokens depend on the tokens after them, so that it is no causal language model",
    "transformers has no cache of keys and values for it",
)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")  # of classes, about their own configurations
def test_each_class_is_served_exactly_or_refused_with_the_reason_that_the_readme_gives():
    outcomes = {model_type: model_classes.outcome(model_type) for model_type in tiny_classes.CLASSES}
    unbuilt = {model_type for model_type, outcome in outcomes.items() if outcome == model_classes.UNBUILT}
    assert unbuilt <= UNBUILT
    for model_type, outcome in outcomes.items():
        served = outcome in (model_classes.SERVED, model_classes.WINDOW)
        assert served or model_type in UNBUILT or outcome.startswith(REASONS), f"{model_type}: {outcome}"
    text = model_classes.README.read_text()
    assert model_classes.document(outcomes) in text, "Run: python -m apps.lm.tests.model_classes --write"
