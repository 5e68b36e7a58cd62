"""Makes a model that gives the answers that a test needs, such as calls: a GPT-2 that reads nothing but positions."""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from apps.lm.tests import tiny


def save(folder: Path, answers: Mapping[str, str], template: str, context: int) -> Path:
    """Write a folder whose model gives these greedy answers, by prompt; `template` is its chat template.

    At each position the same token is the likeliest, so no two answers may have a position in common.
    """
    tokenizer = tiny.gpt2_tokenizer()
    tokenizer.chat_template = template
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=context, n_embd=len(tokenizer), n_layer=1, n_head=1,
        bos_token_id=0, eos_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        model.transformer.ln_f.weight.fill_(1)
        model.lm_head.weight.copy_(torch.eye(len(tokenizer)))
        for prompt, answer in answers.items():
            position = len(tokenizer.encode(prompt)) - 1
            for place, token in enumerate([*tokenizer.encode(answer), 0], start=position):
                assert not model.transformer.wpe.weight[place].any(), f"two answers have position {place}"
                model.transformer.wpe.weight[place, token] = 1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
