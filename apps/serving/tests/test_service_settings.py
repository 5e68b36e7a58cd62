"""Settings come from the environment, and every mistake in them is told at once."""

import pytest

from apps.serving.settings import ServingSettings, SettingsError, read_settings
from apps.serving.tests.toy import ToySettings


def test_settings_are_read_from_the_environment_and_the_command_line_wins(monkeypatch):
    monkeypatch.setenv("ARTIFICIAL_CPU_SEC", "0.25")
    monkeypatch.setenv("PORT", "9000")
    settings = read_settings(ServingSettings, port=9100, host=None)
    assert (settings.artificial_cpu_sec, settings.port, settings.host) == (0.25, 9100, "127.0.0.1")


def test_an_empty_variable_leaves_the_default(monkeypatch):
    monkeypatch.setenv("ARTIFICIAL_CPU_SEC", "")
    monkeypatch.setenv("MODEL_SHA256", "")
    assert read_settings(ServingSettings).artificial_cpu_sec == 0
    assert read_settings(ServingSettings).model_sha256 == ""


def test_all_mistakes_are_told_at_once_a_line_each(monkeypatch):
    for name, value in {"PORT": "70000", "MAX_QUEUE": "many", "LOG_LEVEL": "loud", "DRAIN_SECONDS": "nan"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        read_settings(ServingSettings)
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "PORT='70000': Input should be less than or equal to 65535." in lines
    assert all(any(line.startswith(f"{name}=") for line in lines) for name in ("MAX_QUEUE", "LOG_LEVEL"))


def test_a_misspelt_variable_of_ours_is_a_mistake_that_names_the_nearest(monkeypatch):
    monkeypatch.setenv("ARTIFICIAL_CPU_SECS", "1")
    with pytest.raises(SettingsError) as error:
        read_settings(ServingSettings)
    assert str(error.value) == "ARTIFICIAL_CPU_SECS: there is no such setting. Is ARTIFICIAL_CPU_SEC meant?"


def test_variables_of_others_are_left_alone(monkeypatch):
    for name in ("HOSTNAME", "KUBERNETES_PORT", "LM_SERVICE_PORT", "MODEL_NAME", "MODEL_REVISION", "MODELS_DIR"):
        monkeypatch.setenv(name, "x")
    read_settings(ToySettings)


def test_a_setting_without_default_is_asked_for_by_name(monkeypatch):
    class Demanding(ServingSettings):
        model_file: str

    with pytest.raises(SettingsError, match=r"^MODEL_FILE is not set, and has no default\.$"):
        read_settings(Demanding)


def test_every_setting_says_what_it_is():
    assert [name for name, field in ServingSettings.model_fields.items() if not field.description] == []
