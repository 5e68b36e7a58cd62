"""Puts conversations to a model by its own chat template, which is rendered in a process of its own."""

import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("rendering.py")


class RenderError(ValueError):
    """Why a conversation does not become a text, as the end of a sentence."""


class ChatTemplate:
    """A template and the model's special tokens, which it may name."""

    def __init__(self, template: str, special_tokens: dict[str, str]) -> None:
        self._template, self._special_tokens = template, special_tokens
        self._lock, self._process = threading.Lock(), None

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The text of a conversation, up to where the model's turn begins; raise RenderError."""
        variables = {"messages": list(messages), "tools": None, "documents": None, "add_generation_prompt": True}
        with self._lock:
            line = self._ask(json.dumps(self._special_tokens | variables))
        answer = json.loads(line) if line else {"error": "it was ended, as it takes too much time or memory"}
        if "error" in answer:
            raise RenderError(answer["error"])
        return answer["text"]

    def _ask(self, line: str) -> str:
        """The process's answer, empty where it ends instead: the next call starts another."""
        if self._process is None:
            self._process = _started()
            self._end = weakref.finalize(self, _ended, self._process)
            line = f"{json.dumps(self._template)}\n{line}"
        try:
            print(line, file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer.endswith("\n"):
            return answer
        self._end()
        self._process = None
        return ""


def of(tokenizer: Any) -> ChatTemplate | None:
    """The template of a tokenizer, of several the default one; None where it has none."""
    template = tokenizer.chat_template
    template = template.get("default") if isinstance(template, dict) else template
    return ChatTemplate(template, tokenizer.special_tokens_map) if template else None


def _started() -> subprocess.Popen:
    # -I: only the standard library and installed packages. Of a session of its own: Ctrl-C is not for it.
    command = [sys.executable, "-I", "-B", str(SCRIPT)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, **pipes, encoding="utf-8", start_new_session=True)


def _ended(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()
