"""Attacks of a hostile client on the language model; see apps.serving.tests.attacks."""

import json
from pathlib import Path

from apps.lm.tests.process import ENVIRONMENT
from apps.serving.tests.attacks import Attack, abandoned, post, unread
from apps.serving.tests.hostile_framings import framings

NAME, CONTEXT = "smollm2-135m-instruct", 256  # the name in production, so that attacks work against its pod too
SHORT = json.dumps({"prompt": "the fox", "max_new_tokens": 2}).encode()
HONEST = ("/generate", SHORT)
STARTS_WITHIN = 120  # seconds
# Resident bytes with the largest batches of the production model (README). The rest of the limit is for requests.
PEAK = 1521 * 2**20


def settings(folder: Path) -> dict[str, object]:
    """The environment of the service, with a model in `folder`."""
    from apps.lm.tests import tiny  # here, because the attacker does not need torch

    return ENVIRONMENT | {"MODEL_NAME": tiny.publish(tiny.save("gpt2", folder / f"{NAME}_v1", context=CONTEXT))}


def body(name: str, path: str, text: str) -> Attack:
    """An attack with a JSON body."""
    return Attack(name, _post(path, text))


def prompt(name: str, text: str) -> Attack:
    """An attack with a prompt of /generate, of about 1 MB."""
    return Attack(name, _generate(text), clients=12, fills=True)


def chat(name: str, members: str) -> Attack:
    """An attack with a body of /v1/chat/completions."""
    return body(name, "/v1/chat/completions", f'{{"model": "{NAME}", {members}}}')


def completion(name: str, members: str) -> Attack:
    """An attack with a body of /v1/completions."""
    return body(name, "/v1/completions", f'{{"model": "{NAME}", {members}}}')


def many(item: str) -> str:
    """An array of many `item`s, a little below 1 MB."""
    return "[" + ",".join([item] * (1_030_000 // (len(item) + 1))) + "]"


def _post(path: str, text: str) -> bytes:
    return post(path, text.encode())


def _generate(text: str) -> bytes:
    return post("/generate", json.dumps({"prompt": text, "max_new_tokens": 2}, ensure_ascii=False).encode())


DEEP = "[" * 500_000
TURN = '{"role":"user","content":"a"}'
PROMPTS = [
    prompt("12 prompts of 1 MB", "the quick brown fox " * 52_000),
    prompt("a prompt of one letter", "a" * 1_040_000),
    prompt("a prompt of spaces", " " * 1_040_000),
    prompt("a prompt of emoji", "\U0001f98a" * 260_000),
    prompt("a prompt of combining marks", "e\u0301" * 340_000),
    prompt("a prompt of special tokens", "<|endoftext|>" * 80_000),
    body("a prompt of escapes", "/generate", '{"prompt": "' + "\\u00e4" * 170_000 + '"}'),
    body("a chat of 1 MB", "/v1/chat/completions", f'{{"model": "{NAME}", "messages": {many(TURN)}}}'),
]
MISTAKES = [
    chat("messages: 340,000 objects", f'"messages": {many("{}")}'),
    chat("messages: 500,000 numbers", f'"messages": {many("1")}'),
    chat("messages: unknown roles", f'"messages": {many(TURN.replace("user", "x"))}'),
    chat("content of 340,000 objects", f'"messages": [{{"role": "user", "content": {many("{}")}}}]'),
    chat("metadata of 340,000 arrays", f'"messages": [{TURN}], "metadata": {many("[]")}, "temperature": 9'),
    chat("tools of 340,000 objects", f'"messages": [{TURN}], "tools": {many("{}")}'),
    chat("deep metadata", f'"messages": [{TURN}], "metadata": {DEEP}'),
    completion("a prompt of 500,000 numbers", f'"prompt": {many("1")}'),
    completion("logit_bias of 90,000 keys", '"logit_bias": {' + ",".join(f'"{n}":1' for n in range(90_000)) + "}"),
    completion("stop of 500,000 numbers", f'"prompt": "a", "stop": {many("1")}'),
    body("stop: 500,000 numbers", "/generate", f'{{"prompt": "a", "stop": {many("1")}}}'),
    body("stop: 250,000 empty texts", "/generate", f'{{"prompt": "a", "stop": {many(chr(34) * 2)}}}'),
    body("90,000 unknown keys", "/generate", "{" + ",".join(f'"{n}":1' for n in range(90_000)) + "}"),
    body("deep JSON", "/generate", DEEP),
    body("an integer of 1,000,000 digits", "/generate", f'{{"prompt": "a", "max_new_tokens": {"1" * 1_000_000}}}'),
    body("1e400 for a temperature", "/generate", '{"prompt": "a", "temperature": 1e400}'),
    body("a string of 1 MB for a number", "/generate", f'{{"prompt": "a", "seed": "{"1" * 1_000_000}"}}'),
]
STREAM = f'{{"model": "{NAME}", "prompt": "the fox", "max_tokens": 200, "stream": true}}'
LONG = '{"prompt": "the fox", "max_new_tokens": 200}'
CROWDS = [
    Attack("60 streams, never read", _post("/v1/completions", STREAM), unread, 60, fills=True),
    Attack("streams, 340 a second, closed at once", _post("/v1/completions", STREAM), abandoned, 34, fills=True),
    Attack("60 answers, never read", _post("/generate", LONG), unread, 60, fills=True),
]
FRAMINGS = framings("/generate", SHORT, lambda: _post("/v1/completions", STREAM))
ATTACKS = [*PROMPTS, *MISTAKES, *CROWDS, *FRAMINGS]
