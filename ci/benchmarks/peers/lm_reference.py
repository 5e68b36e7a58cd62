"""Prints transformers' own greedy answers in float32: `lm_reference.py FOLDER TOKENS PROMPT…`, as a JSON list."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

logging.disable_progress_bar()
folder, tokens, *prompts = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
answers = []
for prompt in prompts:
    inputs = tokenizer(prompt, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=int(tokens), do_sample=False)[0, inputs.input_ids.shape[1] :]
    answers.append(tokenizer.decode(ids))
print(json.dumps(answers))
