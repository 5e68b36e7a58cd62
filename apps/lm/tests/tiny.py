"""Makes real GPT-2 and Llama models that are small enough for a test, with random weights and no download."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from models import publishing

torch.set_num_threads(1)  # these models are too small to gain from more, and threads wait for each other

CORPUS = ["the quick brown fox jumps over the lazy dog", "once upon a time there was a little girl"] * 4
CONTEXT = 48


def gpt2_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, as GPT-2 has it: a character can be several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", chat_template=CHAT)


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """Pieces with a mark for spaces, bytes for other characters, and <s> at the start, as Llama has it."""
    special = ["<unk>", "<s>", "</s>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    pieces = ["▁", *"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {piece: number for number, piece in enumerate([*special, *bytes_, *pieces])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


CHAT = """
{%- for message in messages -%}
{%- if message.role == "assistant" and loop.first -%}{{ raise_exception("The first turn is the user's.") }}{%- endif -%}
{{ message.role }}: {{ message.content }}
{% endfor -%}
{%- if add_generation_prompt -%}assistant: {%- endif -%}"""


def gpt2_model(vocabulary: int, eos: int | None, context: int) -> GPT2LMHeadModel:
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=context, n_embd=32, n_layer=2, n_head=4, initializer_range=0.4,
        bos_token_id=eos, eos_token_id=eos,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def llama_model(vocabulary: int, eos: int | None, context: int) -> LlamaForCausalLM:
    torch.manual_seed(2)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=context, initializer_range=0.4,
        bos_token_id=1, eos_token_id=eos,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


FAMILIES = {"gpt2": (gpt2_tokenizer, gpt2_model), "llama": (llama_tokenizer, llama_model)}


def save(family: str, folder: Path, eos: int | None = None, context: int = CONTEXT) -> Path:
    """Write a model of `family` as a transformers folder; token `eos` ends answers (None: no token does)."""
    make_tokenizer, make_model = FAMILIES[family]
    tokenizer = make_tokenizer()
    make_model(len(tokenizer), eos, context).save_pretrained(folder)
    if eos is None:
        tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    return folder


def publish(folder: Path, **facts) -> Path:
    """Write the manifest of the folder, whose name is `<name>_<version>`."""
    publishing.describe(folder, force=True, **({"engine": "transformers"} | facts))
    return folder


def edit_json(path: Path, **changes) -> None:
    """Change members of a JSON file, which is created if it is missing."""
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | changes))


def probe(folder: Path) -> dict[str, Any]:
    """A probe for the manifest of a GPT-2 folder, answered by transformers' own `generate`."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model: Any = GPT2LMHeadModel.from_pretrained(folder)
    tokens = tokenizer("the fox", return_tensors="pt")
    ids = model.generate(**tokens, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, 2:].tolist()
    request = {"prompt": "the fox", "max_new_tokens": 8, "prompt_tokens": 2, "min_margin": 1.0}
    return request | {"token_ids": ids, "generated_text": tokenizer.decode(ids)}
