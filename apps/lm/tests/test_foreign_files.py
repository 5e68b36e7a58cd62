"""The files of a model folder are its publisher's: none of them runs code in the service or costs other requests."""

import json

import pytest

from apps.lm.tests import tiny
from apps.lm.tests.conftest import serving
from apps.serving.identity import LoadError
from models.manifest import RegistryError

TEMPLATES = {
    "{{ raise_exception('no turns today') }}": "no turns today",
    "{{ 1 / 0 }}": "ZeroDivisionError: division by zero",
    "{% for %}": "xpected",
    "{{ messages[0].content.nothing.at.all }}": "has no attribute",
    "{{ ''.__class__.__mro__ }}": "unsafe",
    "{% include 'tokenizer.json' %}": "no loader",
    "{{ cycler.__init__.__globals__.os.popen('touch ran').read() }}": "unsafe",
    "{% set x = 'a' * 10 ** 10 %}": "MemoryError",
}


@pytest.mark.slow
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_raises_is_a_400_with_the_reason_and_does_nothing_else(folder, tmp_path, monkeypatch, template):
    monkeypatch.chdir(tmp_path)
    (folder / "chat_template.jinja").write_text(template)
    turns = [{"role": "user", "content": "the fox"}]
    with serving(tiny.publish(folder), max_total_tokens=tiny.CONTEXT) as client:
        answer = client.post("/v1/chat/completions", json={"model": "tiny-gpt2", "messages": turns})
        assert client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 1}).status_code == 200
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert (
        message.startswith("The chat template of 'tiny-gpt2' refuses the messages: ") and TEMPLATES[template] in message
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_pattern_without_end_in_a_tokenizer_refuses_its_prompt_only(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, tokenizer["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with serving(tiny.publish(folder), max_total_tokens=tiny.CONTEXT) as client:
        refused = client.post("/generate", json={"prompt": "a" * 40 + "b"})
        assert client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 1}).status_code == 200
    assert refused.status_code == 422
    assert refused.json()["detail"] == "The tokenizer of 'tiny-gpt2' cannot read the prompt."


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        (
            "config.json",
            {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}},
        ),
        ("tokenizer_config.json", {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}),
        ("generation_config.json", {"custom_generate": "own"}),
    ],
)
def test_code_in_a_folder_never_runs(folder, load, tmp_path, file, changes):
    for code in (folder / "own.py", folder / "custom_generate" / "generate.py"):
        code.parent.mkdir(exist_ok=True)
        code.write_text(f"open('{tmp_path}/ran', 'w')")
    tiny.edit_json(folder / file, **changes)
    try:
        load(tiny.publish(folder))
    except LoadError as error:
        assert "\n" not in str(error)
    assert not (tmp_path / "ran").exists()


class Program:
    def __reduce__(self):
        return exec, ("open('ran', 'w')",)


def test_a_pickle_with_weights_is_never_read(folder, load, tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Program()))
    load(tiny.publish(folder))  # from its safetensors
    (folder / "model.safetensors").unlink()
    with pytest.raises(RegistryError, match="it is a pickle, which can contain a program"):
        load(tiny.publish(folder))
    assert not (tmp_path / "ran").exists()
