"""Turns tokens into text as they come, and gives out only characters that no later token can change.

A token may end inside a character: an emoji is up to four byte tokens long. Some tokenizers decode a token
differently at the start of a text, so each is decoded together with the one before it.
"""

from collections.abc import Callable, Sequence

_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class TextStream:
    """The text of one answer. `decode` maps token ids to text, without special tokens."""

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Sequence[int]):
        self._decode = decode
        self._tokens = list(prompt[-_CONTEXT:])
        self._context = 0
        self._given = len(self._tokens)

    def push(self, token: int) -> str:
        """The text that `token` completes; empty while a character is still incomplete."""
        self._tokens.append(token)
        text = self._new_text()
        if not text or text.endswith(_INCOMPLETE):
            return ""
        self._context, self._given = self._given, len(self._tokens)
        return text

    def finish(self) -> str:
        """What is left, without the character that the answer's end has cut in two."""
        text = self._new_text() if self._given < len(self._tokens) else ""
        return text.rstrip(_INCOMPLETE)

    def _new_text(self) -> str:
        given = self._decode(self._tokens[self._context : self._given])
        return self._decode(self._tokens[self._context :])[len(given) :]


# Prompt tokens that are decoded with the answer's first one.
_CONTEXT = 4
