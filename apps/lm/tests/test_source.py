import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from apps.lm import hub, source
from apps.lm.engines import registry
from apps.lm.settings import LanguageModelSettings
from apps.lm.tests import tiny
from apps.serving.identity import LoadError
from models.registry import RegistryError, manifest_path


@pytest.fixture
def folder(folders, tmp_path):
    """A published folder that the test may spoil."""
    copy = tmp_path / folders["gpt2"].name
    shutil.copytree(folders["gpt2"], copy)
    shutil.copy(manifest_path(folders["gpt2"]), manifest_path(copy))
    return copy


def test_a_folder_is_who_its_manifest_says(folder, load):
    identity = load(folder).identity
    manifest = json.loads(manifest_path(folder).read_text())
    assert (identity.name, identity.version, identity.sha256) == ("tiny-gpt2", "v1", manifest["sha256"])


def test_an_altered_folder_is_refused_before_it_is_loaded(folder, load):
    with (folder / "config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(RegistryError, match="was altered or cut"):
        load(folder)


def test_a_folder_without_manifest_is_refused(folder, load):
    manifest_path(folder).unlink()
    with pytest.raises(RegistryError, match="does not exist; every artifact has a manifest beside it"):
        load(folder)


@pytest.mark.parametrize(
    ("expected", "words"),
    [({"model_version": "v2"}, "version is 'v1' and 'v2' is expected"), ({"model_sha256": "0" * 64}, "sha256 is")],
)
def test_a_folder_that_is_not_the_expected_one_is_refused(folder, load, expected, words):
    with pytest.raises(RegistryError, match=words):
        load(folder, **expected)


def test_a_folder_of_an_engine_that_is_not_here_is_refused_and_told_which_image_has_it(folder, load, monkeypatch):
    tiny.publish(folder, engine="openvino")
    monkeypatch.setattr(registry, "find_spec", lambda package: object() if package == "torch" else None)
    with pytest.raises(LoadError) as refusal:
        load(folder)
    assert str(refusal.value) == (
        f"{str(folder)!r} is for the engine 'openvino', and this image has transformers. "
        "Use the image lm-service:v1-openvino (outside of images: pip install '.[lm-openvino]'), or correct MODEL_NAME."
    )


@pytest.mark.parametrize("name", ["someone/some-model", None])
def test_an_image_without_torch_refuses_what_needs_it_before_anything_is_fetched(folder, load, monkeypatch, name):
    monkeypatch.setattr(registry, "find_spec", lambda package: None if package == "torch" else object())
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("asked the hub"))
    with pytest.raises(LoadError, match=r"this image has openvino. Use the image lm-service:v1 "):
        load(name or folder)


def test_a_folder_of_an_unknown_engine_is_refused(folder, load):
    tiny.publish(folder, engine="other")
    with pytest.raises(LoadError, match="for the engine 'other', and this service knows transformers and openvino"):
        load(folder)


def test_a_commit_for_a_folder_is_refused(folder, load):
    with pytest.raises(LoadError, match=r"MODEL_REVISION='main' is for hub ids"):
        load(folder, model_revision="main")


def test_a_sha256_for_a_hub_id_is_refused(load):
    with pytest.raises(LoadError, match=r"MODEL_SHA256 is for model folders"):
        load("someone/some-model", model_sha256="0" * 64)


@pytest.mark.parametrize("name", ["{0}/models/mistyped_v1", "./mistyped_v1", "models/mistyped_v1"])
def test_a_mistyped_folder_is_an_error_and_no_hub_id(tmp_path, monkeypatch, name):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("asked the hub"))
    with pytest.raises(RegistryError, match="is neither a file nor a folder"):
        source.locate(LanguageModelSettings(model_name=name.format(tmp_path)))


def test_weights_that_lack_a_layer_are_refused(folder, load):
    weights = load_file(folder / "model.safetensors")
    save_file(
        {key: value for key, value in weights.items() if ".h.1.mlp" not in key},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    tiny.publish(folder)
    with pytest.raises(LoadError, match=r"lacks weights .* transformer\.h\.1\.mlp.*\(4 in all\)"):
        load(folder)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused_in_one_line(folder, load, missing):
    (folder / missing).unlink()
    tiny.publish(folder)
    with pytest.raises(LoadError, match="is not a causal language model with its tokenizer") as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)


def edit(path, **changed) -> None:
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(values | changed))


@pytest.mark.parametrize("place", ["../outside.safetensors", "{0}/outside.safetensors", "a/../../outside.safetensors"])
def test_weights_outside_of_the_folder_are_refused(folder, load, place):
    weights = load_file(folder / "model.safetensors")
    (folder / "a").mkdir()
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    name = place.format(folder.parent)
    edit(folder / "model.safetensors.index.json", metadata={}, weight_map=dict.fromkeys(weights, name))
    tiny.publish(folder)
    with pytest.raises(RegistryError) as refusal:
        load(folder)
    assert str(refusal.value) == (
        f"'{folder}/model.safetensors.index.json' is refused: its weight_map names {name[:80]!r}, which is no plain "
        "name of a file in this folder. Publish the model again from its source."
    )


def test_weights_in_several_files_of_the_folder_are_loaded(folder, load):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    names = dict.fromkeys(weights, "model-00001-of-00001.safetensors")
    edit(folder / "model.safetensors.index.json", metadata={}, weight_map=names)
    load(tiny.publish(folder))


LARGE = 17 * 1024**2
REFUSED = {
    "a pickle from elsewhere": ("pytorch_model.bin.index.json", {"weight_map": {"a": "/x.bin"}}, "names '/x.bin'"),
    "weights by another name": ("config.json", {"transformers_weights": "../x.safetensors"}, "no plain name"),
    "a tokenizer from elsewhere": (
        "tokenizer_config.json",
        {"fast_tokenizer_files": ["tokenizer./../4.json"]},
        "plain",
    ),
    "a million layers": ("config.json", {"n_layer": 1_000_000}, "its n_layer is 1000000, and at most 1000"),
    "a million layers of a part": ("config.json", {"text_config": {"num_hidden_layers": 10**6}}, "num_hidden_layers"),
    "a million experts": ("config.json", {"num_local_experts": 10**6}, "at most 1000 are computed"),
    "a large config": ("config.json", {"x": "x" * LARGE}, "and at most 16777216 are read"),
    "a large generation config": ("generation_config.json", {"x": "x" * LARGE}, "and at most 16777216 are read"),
    "a large template": ("chat_template.jinja", {"x": "x" * LARGE}, "and at most 1048576 are read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_leads_to_work_without_end_is_refused_before_it_is_loaded(folder, load, monkeypatch, name):
    file, changed, words = REFUSED[name]
    (folder / "chat_template.jinja").unlink()
    edit(folder / file, **changed)
    tiny.publish(folder)
    monkeypatch.setattr(registry, "load", lambda *_: pytest.fail("loaded"))
    with pytest.raises(RegistryError, match=words) as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)


def test_lists_in_lists_in_a_config_are_refused(folder, load):
    (folder / "config.json").write_text("[" * 1_000_000)
    tiny.publish(folder)
    with pytest.raises(RegistryError, match=r"config.json' is refused: maximum recursion depth"):
        load(folder)


def test_the_attention_is_not_the_configs_choice(folder, load):
    edit(folder / "config.json", _attn_implementation="someone/kernel", attn_implementation="flash_attention_2")
    load(tiny.publish(folder))


def test_code_beside_the_weights_is_not_run(folder, load):
    (folder / "own.py").write_text("open('ran', 'w')")
    edit(
        folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.M"}
    )
    tiny.publish(folder)
    with pytest.raises(LoadError, match="contains custom code which must be executed"):
        load(folder)


def test_a_folder_that_changes_between_its_verification_and_the_end_of_its_load_is_refused(folder, load, monkeypatch):
    load_it = registry.load

    def change(*arguments):
        model = load_it(*arguments)
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content)
        return model

    monkeypatch.setattr(registry, "load", change)
    with pytest.raises(LoadError, match="was changed while it was loaded"):
        load(folder)


def probe(**changed) -> dict:
    return {"prompt": "the fox", "prompt_tokens": 2, "token_ids": [117, 194, 79, 79], "min_margin": 1.0} | changed


def test_a_model_that_answers_its_probe_is_served(folder, load):
    tiny.publish(folder, probes=[probe()])
    load(folder)


def test_a_model_that_answers_its_probe_otherwise_is_refused(folder, load):
    tiny.publish(folder, probes=[probe(token_ids=[117, 194, 79, 80])])
    with pytest.raises(LoadError, match=r"the answer's first tokens are \[117, 194, 79, 79\] here and were"):
        load(folder)


def test_a_model_that_reads_a_prompt_otherwise_is_refused(folder, load):
    tiny.publish(folder, probes=[probe(prompt_tokens=7)])
    with pytest.raises(LoadError, match="the prompt's tokens are 2 here and were 7"):
        load(folder)


def test_a_probe_that_rounding_could_change_is_not_held_against_a_model(folder, load):
    tiny.publish(folder, probes=[probe(token_ids=[1, 2, 3, 4], min_margin=0.001)])
    load(folder)
