"""A folder is loaded completely or refused in one line, and no code of it is run."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from apps.lm.engines.transformers import loading
from apps.lm.tests import tiny
from apps.serving.identity import LoadError
from apps.serving.machine import cpu


def test_weights_without_a_layer_are_refused(folder, load):
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
def test_a_folder_without_a_file_is_refused_in_one_line(folder, load, missing):
    (folder / missing).unlink()
    tiny.publish(folder)
    with pytest.raises(LoadError, match="is not a causal language model with its tokenizer") as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)


def test_a_tokenizer_with_ids_that_the_model_does_not_know_is_refused(folder, load):
    tiny.gpt2_model(300, None, tiny.CONTEXT).save_pretrained(folder)
    with pytest.raises(LoadError) as refusal:
        load(tiny.publish(folder))
    assert str(refusal.value) == (
        f"'{folder}' has a tokenizer with ids up to 313, and its model knows those up to 299. "
        "Publish the model with its own tokenizer."
    )


def test_a_folder_without_any_tokenizer_is_refused(folder, load):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(LoadError, match="has no tokenizer: it has none of"):
        load(tiny.publish(folder))


def test_a_model_that_is_no_causal_language_model_is_refused_by_its_type(folder, load):
    tiny.edit_json(folder / "config.json", model_type="t5", d_kv=8, num_layers=1)
    with pytest.raises(LoadError, match="is not a causal language model: transformers has none of the type 't5'"):
        load(tiny.publish(folder))


def test_weights_in_several_files_of_the_folder_are_loaded(folder, load):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    names = dict.fromkeys(weights, "model-00001-of-00001.safetensors")
    tiny.edit_json(folder / "model.safetensors.index.json", metadata={}, weight_map=names)
    load(tiny.publish(folder))


def test_the_configuration_cannot_choose_the_attention(folder, load):
    tiny.edit_json(
        folder / "config.json", _attn_implementation="someone/kernel", attn_implementation="flash_attention_2"
    )
    load(tiny.publish(folder))


def test_code_in_the_folder_is_not_run(folder, load):
    (folder / "own.py").write_text("open('ran', 'w')")
    tiny.edit_json(
        folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.M"}
    )
    tiny.publish(folder)
    with pytest.raises(LoadError, match="contains custom code which must be executed"):
        load(folder)


@pytest.mark.parametrize(
    ("device", "cpus", "threads", "expected"),
    [
        ("cpu", 2, 1, True),
        ("cpu", 1, 1, False),  # the two would only take turns
        ("cpu", 3, 2, False),  # OpenMP's threads would wait for the thread
        ("cuda", 2, 1, False),
    ],
)
def test_prefill_has_a_thread_if_decode_uses_one_and_there_is_a_cpu_for_each(
    monkeypatch, device, cpus, threads, expected
):
    monkeypatch.setattr(cpu, "threads", lambda: cpus)
    monkeypatch.setattr(loading, "threads", lambda: threads)
    assert (loading.prefill_executor(torch.device(device)) is not None) == expected
