"""Turns tokens into text as they are generated, and yields only characters that no later token can change.

A token can end inside a character: an emoji has up to four byte tokens. Some tokenizers decode a token differently at
the start of a text, so each token is decoded together with the one before it.
"""

from collections.abc import Callable, Sequence

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
PROMPT_TOKENS = 4  # of the prompt's end, decoded together with the answer's first token


class TextStream:
    """The text of one answer. `decode` maps tokens to text, without special tokens."""

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Sequence[int]):
        self._decode = decode
        self._tokens = list(prompt[-PROMPT_TOKENS:])
        self._start, self._end = 0, len(self._tokens)  # of the tokens whose text was yielded last

    def push(self, token: int) -> str:
        """The text that `token` completes; empty while a character is incomplete."""
        self._tokens.append(token)
        text = self._new_text()
        if not text or text.endswith(INCOMPLETE):
            return ""
        self._start, self._end = self._end, len(self._tokens)
        return text

    def finish(self) -> str:
        """The remaining text, without a character that the answer's end has cut."""
        text = self._new_text() if self._end < len(self._tokens) else ""
        return text.rstrip(INCOMPLETE)

    def _new_text(self) -> str:
        previous = self._decode(self._tokens[self._start : self._end])
        return self._decode(self._tokens[self._start :])[len(previous) :]


class StopText:
    """Ends a text before the first of `stops` that is complete, wherever the pieces of the text are cut."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.matched = False
        self._stops, self._held = stops, ""

    def push(self, piece: str) -> str:
        """The text up to a stop sequence; text that may begin one is held back."""
        text = self._held + piece
        matches = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        self.matched = bool(matches)
        end = min(matches)[1] if matches else len(text) - self._possible_start(text)
        self._held = "" if matches else text[end:]
        return text[:end]

    def finish(self) -> str:
        """The text that was held back, since nothing follows that could complete a stop sequence."""
        held, self._held = self._held, ""
        return held

    def _possible_start(self, text: str) -> int:
        """The number of last characters that may begin a stop sequence."""
        longest = max(map(len, self._stops), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((n for n in lengths if any(stop.startswith(text[-n:]) for stop in self._stops)), 0)
