"""Settings are read from the environment, with every mistake in one report."""

import pytest

from apps.serving.settings import ServingSettings, SettingsError, read_settings, warn_of_similar
from apps.serving.tests import settings_table
from apps.serving.tests.processes import running
from apps.serving.tests.toy import ToySettings


def test_settings_are_read_from_the_environment_and_overrides_take_precedence(monkeypatch):
    monkeypatch.setenv("ARTIFICIAL_CPU_SEC", "0.25")
    monkeypatch.setenv("PORT", "9000")
    settings = read_settings(ServingSettings, port=9100, host=None)
    assert (settings.artificial_cpu_sec, settings.port, settings.host) == (0.25, 9100, "127.0.0.1")


def test_an_empty_variable_keeps_the_default(monkeypatch):
    monkeypatch.setenv("ARTIFICIAL_CPU_SEC", "")
    monkeypatch.setenv("MODEL_SHA256", "")
    assert read_settings(ServingSettings).artificial_cpu_sec == 0
    assert read_settings(ServingSettings).model_sha256 == ""


def test_all_mistakes_are_reported_at_once_one_per_line(monkeypatch):
    for name, value in {"PORT": "70000", "MAX_QUEUE": "many", "LOG_LEVEL": "loud", "DRAIN_SECONDS": "nan"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        read_settings(ServingSettings)
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "PORT='70000': Input should be less than or equal to 65535." in lines
    assert all(any(line.startswith(f"{name}=") for line in lines) for name in ("MAX_QUEUE", "LOG_LEVEL"))


def test_a_misspelt_setting_is_a_mistake_and_the_nearest_setting_is_named(monkeypatch):
    monkeypatch.setenv("ARTIFICIAL_CPU_SECS", "1")
    with pytest.raises(SettingsError) as error:
        read_settings(ServingSettings)
    assert str(error.value) == "ARTIFICIAL_CPU_SECS: there is no such setting. Is ARTIFICIAL_CPU_SEC meant?"


@pytest.mark.parametrize("name", ["DD_LOG_LEVEL", "UV_LOG_LEVEL", "HTTP_REQUEST_TIMEOUT_SECONDS", "MYMAX_QUEUE"])
def test_a_similar_variable_of_another_program_is_no_mistake_and_is_logged(monkeypatch, caplog, name):
    monkeypatch.setenv(name, "x")
    read_settings(ServingSettings)
    warn_of_similar(ServingSettings)
    (record,) = (record for record in caplog.records if record.variable == name)
    similar = name.partition("_")[2] if name != "MYMAX_QUEUE" else "MAX_QUEUE"
    assert (record.levelname, record.message) == ("WARNING", "variable is not a setting of this service")
    assert record.similar_to == similar


@pytest.mark.parametrize("name", ["MAX_QUEU", "LOG_LEVELS", "REQUEST_TIMEOUT_SECS", "DRAIN_SECOND", "MODEL_SHA"])
def test_a_similar_variable_with_the_same_prefix_is_a_mistake_and_is_not_logged(monkeypatch, caplog, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"^{name}: there is no such setting"):
        read_settings(ServingSettings)
    warn_of_similar(ServingSettings)
    assert name not in [getattr(record, "variable", None) for record in caplog.records]


@pytest.mark.service
def test_a_service_starts_despite_a_similar_variable_of_another_program_and_logs_it():
    with running("apps.serving.tests.toy", ready=True, DD_LOG_LEVEL="info") as process:
        line = process.expect("variable is not a setting of this service")
    assert {key: line[key] for key in ("level", "logger", "variable", "similar_to")} == {
        "level": "warning",
        "logger": "serving.settings",
        "variable": "DD_LOG_LEVEL",
        "similar_to": "LOG_LEVEL",
    }


def test_foreign_variables_are_ignored(monkeypatch):
    for name in ("HOSTNAME", "KUBERNETES_PORT", "LM_SERVICE_PORT", "MODEL_NAME", "MODEL_REVISION", "MODELS_DIR"):
        monkeypatch.setenv(name, "x")
    read_settings(ToySettings)


def test_a_missing_setting_is_named(monkeypatch):
    class WithoutDefault(ServingSettings):
        model_file: str

    with pytest.raises(SettingsError, match=r"^MODEL_FILE is not set, and has no default\.$"):
        read_settings(WithoutDefault)


def test_every_setting_has_a_description():
    assert [name for name, field in ServingSettings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("app", settings_table.CLASSES)
def test_the_readme_lists_every_setting_with_its_default_and_meaning(app):
    path = settings_table.readme(app)
    assert path.read_text() == settings_table.readme_text(app), f"run: {settings_table.COMMAND}"
