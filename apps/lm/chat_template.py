"""Renders conversations with a model's own chat template, in a separate process."""

import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from apps.lm.call_format import ToolSupport, tool_support
from apps.lm.engines.protocol import Tokenizer

SCRIPT = Path(__file__).with_name("rendering.py")


class RenderError(ValueError):
    """Why a conversation cannot be rendered, as the end of a sentence."""


class ChatTemplate:
    """A template and the model's special tokens, which the template can use by name."""

    def __init__(self, template: str, special_tokens: Mapping[str, str]) -> None:
        self._template, self._special_tokens = template, dict(special_tokens)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    @cached_property
    def tool_support(self) -> ToolSupport:
        """What the template does with tools; it is asked when this is first needed."""

        def render(messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> str:
            try:
                return self.render(messages, tools)
            except RenderError:
                return ""

        return tool_support(render)

    def render(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The text of a conversation, up to where the model's turn begins; raise RenderError."""
        chat: dict[str, Any] = {"messages": list(messages), "tools": list(tools) or None, "documents": None}
        variables = chat | {"add_generation_prompt": True}
        with self._lock:
            line = self._ask(json.dumps(self._special_tokens | variables))
        answer = json.loads(line) if line else {"error": "it was ended, as it takes too much time or memory"}
        if "error" in answer:
            raise RenderError(answer["error"])
        return str(answer["text"])

    def _ask(self, line: str) -> str:
        """The process's answer; empty if it has ended instead, upon which the next call starts another."""
        if self._process is None:
            self._process = _start()
            self._end = weakref.finalize(self, _end, self._process)
            line = f"{json.dumps(self._template)}\n{line}"
        assert self._process.stdout
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


def template_of(tokenizer: Tokenizer) -> ChatTemplate | None:
    """The template of a tokenizer, or the default one of several; None if it has none."""
    template = tokenizer.chat_template
    if isinstance(template, Mapping):
        template = template.get("default")
    return ChatTemplate(template, tokenizer.special_tokens_map) if template else None


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        # -I: only the standard library and installed packages, and no environment variable: hence pycache_prefix again
        [sys.executable, "-I", "-B", f"-Xpycache_prefix={sys.pycache_prefix or ''}", str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,  # so that Ctrl-C does not reach it
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
