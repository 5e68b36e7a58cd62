"""Only the model that MODEL_NAME and the settings name is loaded, verified, from its own folder."""

import json

import pytest
from safetensors.torch import load_file

from apps.lm import hub, source
from apps.lm.engines import registry
from apps.lm.settings import LanguageModelSettings
from apps.lm.tests import tiny
from apps.serving.identity import LoadError
from models.registry import RegistryError, manifest_path


def test_the_manifest_gives_a_folder_its_identity(folder, load):
    identity = load(folder).identity
    manifest = json.loads(manifest_path(folder).read_text())
    assert (identity.name, identity.version, identity.sha256) == ("tiny-gpt2", "v1", manifest["sha256"])


def test_an_altered_folder_is_refused_before_it_is_loaded(folder, load):
    with (folder / "config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(RegistryError, match="was altered or cut"):
        load(folder)


def test_a_folder_without_a_manifest_is_refused(folder, load):
    manifest_path(folder).unlink()
    with pytest.raises(RegistryError, match="does not exist; every artifact has a manifest beside it"):
        load(folder)


@pytest.mark.parametrize(
    ("expected", "message"),
    [({"model_version": "v2"}, "version is 'v1' and 'v2' is expected"), ({"model_sha256": "0" * 64}, "sha256 is")],
)
def test_a_folder_with_another_version_or_sha256_than_expected_is_refused(folder, load, expected, message):
    with pytest.raises(RegistryError, match=message):
        load(folder, **expected)


def test_a_revision_for_a_folder_is_refused(folder, load):
    with pytest.raises(LoadError, match=r"MODEL_REVISION='main' is for hub ids"):
        load(folder, model_revision="main")


def test_a_sha256_for_a_hub_id_is_refused(load):
    with pytest.raises(LoadError, match=r"MODEL_SHA256 is for model folders"):
        load("someone/some-model", model_sha256="0" * 64)


@pytest.mark.parametrize("name", ["{0}/models/mistyped_v1", "./mistyped_v1", "models/mistyped_v1"])
def test_a_mistyped_folder_is_an_error_and_not_a_hub_id(tmp_path, monkeypatch, name):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("called the hub"))
    with pytest.raises(RegistryError, match="is neither a file nor a folder"):
        source.locate(LanguageModelSettings(model_name=name.format(tmp_path)))


@pytest.mark.parametrize("path", ["../outside.safetensors", "{0}/outside.safetensors", "a/../../outside.safetensors"])
def test_weights_outside_of_the_folder_are_refused(folder, load, path):
    weights = load_file(folder / "model.safetensors")
    (folder / "a").mkdir()
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    name = path.format(folder.parent)
    tiny.edit_json(folder / "model.safetensors.index.json", metadata={}, weight_map=dict.fromkeys(weights, name))
    tiny.publish(folder)
    with pytest.raises(RegistryError) as refusal:
        load(folder)
    assert str(refusal.value) == (
        f"'{folder}/model.safetensors.index.json' is refused: its weight_map names {name[:80]!r}, which is no plain "
        "name of a file in this folder. Publish the model again from its source."
    )


LARGE = 17 * 1024**2
REFUSED: dict[str, tuple[str, dict[str, object], str]] = {
    "a pickle from elsewhere": ("pytorch_model.bin.index.json", {"weight_map": {"a": "/x.bin"}}, "names '/x.bin'"),
    "weights by another name": ("config.json", {"transformers_weights": "../x.safetensors"}, "no plain name"),
    "a tokenizer from elsewhere": (
        "tokenizer_config.json",
        {"fast_tokenizer_files": ["tokenizer./../4.json"]},
        "plain",
    ),
    "a million layers": ("config.json", {"n_layer": 1_000_000}, "its n_layer is 1000000, and at most 1000"),
    "a deep submodel": (
        "config.json",
        {"text_config": {"num_hidden_layers": 10**6}},
        "num_hidden_layers",
    ),
    "a million experts": ("config.json", {"num_local_experts": 10**6}, "at most 1000 are computed"),
    "a large config": ("config.json", {"x": "x" * LARGE}, "and at most 16777216 are read"),
    "a large generation config": ("generation_config.json", {"x": "x" * LARGE}, "and at most 16777216 are read"),
    "a large additional template": (
        "additional_chat_templates/rag.jinja",
        {"x": "x" * LARGE},
        "and at most 1048576 are read",
    ),
    "a large template": ("chat_template.jinja", {"x": "x" * LARGE}, "and at most 1048576 are read"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_leads_outside_or_to_endless_work_is_refused_before_it_is_loaded(folder, load, monkeypatch, name):
    file, changes, message = REFUSED[name]
    (folder / "chat_template.jinja").unlink()
    (folder / "additional_chat_templates").mkdir()
    tiny.edit_json(folder / file, **changes)
    tiny.publish(folder)
    monkeypatch.setattr(registry, "load", lambda *_: pytest.fail("loaded"))
    with pytest.raises(RegistryError, match=message) as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)


def test_deeply_nested_lists_in_a_config_are_refused(folder, load):
    (folder / "config.json").write_text("[" * 1_000_000)
    tiny.publish(folder)
    with pytest.raises(RegistryError, match=r"config.json' is refused: maximum recursion depth"):
        load(folder)


def test_a_folder_that_changes_between_verification_and_the_end_of_loading_is_refused(folder, load, monkeypatch):
    load_model = registry.load

    def change(*arguments):
        model = load_model(*arguments)
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content)
        return model

    monkeypatch.setattr(registry, "load", change)
    with pytest.raises(LoadError, match="was changed while it was loaded"):
        load(folder)
