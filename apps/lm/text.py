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


class StopText:
    """Ends an answer where one of `stops` is complete, however it is spread over the pieces that come."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.found = False
        self._stops, self._held = stops, ""

    def push(self, piece: str) -> str:
        """The text that is certain now: before a stop sequence, and without what may begin one."""
        text = self._held + piece
        ends = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        self.found = bool(ends)
        certain = min(ends)[1] if ends else len(text) - self._possible(text)
        self._held = "" if ends else text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """What was held back: nothing follows that could complete it."""
        held, self._held = self._held, ""
        return held

    def _possible(self, text: str) -> int:
        """How many of the last characters may begin a stop sequence."""
        longest = max(map(len, self._stops), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((n for n in lengths if any(stop.startswith(text[-n:]) for stop in self._stops)), 0)
