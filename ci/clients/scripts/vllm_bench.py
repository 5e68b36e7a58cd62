"""The bodies that vLLM's benchmark sends, as its backends `openai` and `openai-chat` build them."""

import json

import checks
import httpx


def stream(path, **body):
    common = {
        "model": checks.MODEL,
        "max_tokens": 16,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }
    with httpx.stream("POST", f"{checks.URL}{path}", json=common | body, timeout=60) as answer:
        answer.read()
        assert answer.status_code == 200, answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert lines.pop() == "[DONE]"
    assert json.loads(lines[-1])["usage"]["completion_tokens"] == 16


def check_completions():
    stream("/completions", prompt="a heron", repetition_penalty=1.0, logprobs=None)


def check_greedy_completions_with_log_probabilities():
    stream("/completions", prompt="a heron", temperature=0.0, repetition_penalty=1.0, logprobs=2)


def check_completions_of_token_ids():
    stream("/completions", prompt=[5, 6, 7, 8], temperature=0.0, top_k=-1, min_p=0.0, frequency_penalty=0.0)


def check_chats():
    content = [{"type": "text", "text": checks.QUESTION}]
    body = {"messages": [{"role": "user", "content": content}], "max_completion_tokens": 16, "max_tokens": None}
    stream("/chat/completions", **body)


checks.run(globals())
