"""Prints transformers' greedy answers in float32: `lm_reference.py FOLDER TOKENS PROMPT...`, as a JSON list."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, tokens, *prompts = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
answers = []
for prompt in prompts:
    inputs = tokenizer(prompt, return_tensors="pt")
    generate = model.generate  # type: ignore[misc]  # transformers' type of self names a class that does not exist
    ids = generate(**inputs, max_new_tokens=int(tokens), do_sample=False)
    answers.append(tokenizer.decode(ids[0, inputs.input_ids.shape[1] :]))
print(json.dumps(answers))
