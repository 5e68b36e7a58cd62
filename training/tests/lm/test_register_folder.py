"""A model folder is published only if the language model service would serve it; a refusal is one line."""

import pytest
import torch
from transformers import GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from apps.lm.tests import tiny, tiny_classes
from models import registry
from training.__main__ import main


@pytest.fixture
def register(tmp_path, capsys):
    """Registers a folder; returns the exit status, and what is on standard error beside the steps."""

    def register(folder):
        capsys.readouterr()
        status = main(["register", str(folder), "--models-dir", str(tmp_path / "models")])
        return status, [line for line in capsys.readouterr().err.splitlines() if not line.startswith("[")]

    return register


@pytest.fixture
def save(tmp_path):
    """Saves a model with a tokenizer as a folder outside the registry."""

    def save(model):
        folder = tmp_path / "elsewhere" / "own_v1"
        model.save_pretrained(folder)
        tiny.gpt2_tokenizer().save_pretrained(folder)
        return folder

    return save


def causal(model_type: str):
    return tiny_classes.tiny_model(model_type, vocab_size=len(tiny.gpt2_tokenizer()))


def t5():
    return T5ForConditionalGeneration(T5Config(vocab_size=99, d_model=16, d_ff=16, d_kv=8, num_layers=1, num_heads=2))


@pytest.mark.slow
@pytest.mark.parametrize(("model_type", "context"), [("llama", 64), ("gpt_neo", tiny_classes.WINDOW)])
def test_a_model_that_the_service_serves_is_published_with_the_longest_sequence(
    register, save, tmp_path, model_type, context
):
    assert register(save(causal(model_type))) == (0, [])
    manifest = registry.verify(tmp_path / "models" / "own_v1")
    assert manifest.input["context_tokens"] == context
    assert len(manifest.probes) == 4


def test_a_model_with_weights_of_16_bits_is_published(register, save):
    assert register(save(causal("llama").half())) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (t5, "is not a causal language model: transformers has none of the type 't5', which its config.json names."),
        (lambda: causal("bloom"), "it counts the positions of tokens in its own way."),
        (lambda: causal("mamba"), "it keeps more than keys and values of each token (LinearAttentionLayer)."),
        (lambda: causal("openai-gpt"), "it does not keep its keys and values in the cache of transformers."),
        (
            lambda: tiny.gpt2_model(200, None, 48),
            "has a tokenizer with ids up to 313, and its model knows those up to 199. "
            "Publish the model with its own tokenizer.",
        ),
    ],
    ids=["t5", "bloom", "mamba", "openai-gpt", "large tokenizer"],
)
def test_a_model_that_the_service_refuses_is_not_published_and_the_reason_is_one_line(
    register, save, tmp_path, make, reason
):
    status, lines = register(save(make()))
    assert status == 1
    assert len(lines) == 1 and lines[0].endswith(reason)
    assert not (tmp_path / "models").exists()


def test_a_folder_without_a_tokenizer_is_refused_in_one_line(register, save):
    folder = save(causal("gpt2"))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    status, (line,) = register(folder)
    assert status == 1 and "has no tokenizer: it has none of merges.txt, tokenizer.json, vocab.json." in line


def test_weights_in_a_pickle_are_refused(register, save):
    folder = save(causal("gpt2"))
    torch.save(GPT2LMHeadModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    status, (line,) = register(folder)
    assert status == 1
    assert line == (
        f"'{folder}/pytorch_model.bin' is refused: it is a pickle, which can contain a program. Load the model where "
        "you trust it, and save it with `save_pretrained`, which writes safetensors."
    )
