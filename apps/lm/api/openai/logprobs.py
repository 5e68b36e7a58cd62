"""Writes log-probabilities of tokens in the two forms that OpenAI's API has for them."""

import codecs
from collections.abc import Sequence
from typing import Any

from apps.lm.engines.protocol import Tokenizer, TokenLogprob


class CompletionLogprobs:
    """Of /v1/completions. It counts where in the text each token begins, from `write` to `write`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def write(self, tokens: Sequence[TokenLogprob | int]) -> dict[str, Any]:
        """The member `logprobs` for these tokens. A bare token has no probability: it is the first of a prompt."""
        entries = [TokenLogprob(token, 0.0, []) if isinstance(token, int) else token for token in tokens]
        bare = [isinstance(token, int) for token in tokens]
        return {
            "tokens": [self._text(entry.token) for entry in entries],
            "token_logprobs": [None if no else entry.logprob for entry, no in zip(entries, bare, strict=True)],
            "top_logprobs": [None if no else self._top(entry) for entry, no in zip(entries, bare, strict=True)],
            "text_offset": [self._count(entry.token) for entry in entries],
        }

    def _top(self, entry: TokenLogprob) -> dict[str, float]:
        """The token itself is among them, however unlikely; of tokens with the same text the likeliest counts."""
        pairs = [*entry.top, (entry.token, entry.logprob)]
        return {self._text(token): logprob for token, logprob in reversed(pairs)}

    def _text(self, token: int) -> str:
        return text(self._tokenizer.token_bytes(token))

    def _count(self, token: int) -> int:
        start = self._offset
        if self._tokenizer.decode([token]):  # a special token is not part of the text
            self._offset += len(self._decoder.decode(self._tokenizer.token_bytes(token)))
        return start


def chat_logprobs(tokens: Sequence[TokenLogprob], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return what chats and responses report of these tokens."""

    def write(token: int, logprob: float) -> dict[str, Any]:
        raw = tokenizer.token_bytes(token)
        return {"token": text(raw), "logprob": logprob, "bytes": list(raw)}

    return [
        write(entry.token, entry.logprob) | {"top_logprobs": [write(*pair) for pair in entry.top]} for entry in tokens
    ]


def text(token: bytes) -> str:
    """Return a token's text, or its bytes in the way of OpenAI's API if they are only a part of a character."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)
