"""The settings of the language model: defaults, and rules between them."""

import pytest

from apps.lm.settings import LanguageModelSettings
from apps.serving.settings import SettingsError, read_settings


def test_by_default_a_batch_holds_eight_sequences_of_the_largest_size(monkeypatch):
    monkeypatch.setenv("MODEL_NAME", "x")
    monkeypatch.setenv("MAX_TOTAL_TOKENS", "1000")
    assert read_settings(LanguageModelSettings).capacity == 8000
    monkeypatch.setenv("MAX_BATCH_TOTAL_TOKENS", "1500")
    assert read_settings(LanguageModelSettings).capacity == 1500


def test_a_batch_too_small_for_one_request_is_refused_together_with_other_mistakes(monkeypatch):
    for name, value in {"MODEL_NAME": "x", "MAX_BATCH_TOTAL_TOKENS": "255", "DTYPE": "int4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as mistakes:
        read_settings(LanguageModelSettings)
    batch, dtype = sorted(str(mistakes.value).splitlines(), key=len, reverse=True)
    assert batch == (
        "MAX_BATCH_TOTAL_TOKENS='255': is less than MAX_TOTAL_TOKENS (256), "
        "so that not even one request fits; raise it."
    )
    assert dtype == "DTYPE='int4': Input should be 'fp32', 'bf16' or 'auto'."


def test_every_setting_has_a_description():
    assert [name for name, field in LanguageModelSettings.model_fields.items() if not field.description] == []
