"""Adapts the tokenizers of transformers to the service."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedTokenizerBase

from apps.lm.engines.token_bytes import token_bytes


class TransformersTokenizer:
    """See `apps.lm.engines.protocol.Tokenizer`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self.chat_template: str | Mapping[str, str] | None = tokenizer.chat_template
        self._added = tokenizer.added_tokens_decoder
        backend = getattr(tokenizer, "backend_tokenizer", None)  # None: a tokenizer written in Python
        self._decoder = backend and backend.decoder
        self.vocabulary = max(tokenizer.get_vocab().values(), default=-1) + 1
        self.special_tokens_map: Mapping[str, str] = tokenizer.special_tokens_map

    def token_bytes(self, token: int) -> bytes:
        """See `Tokenizer.token_bytes`."""
        written = str(self._tokenizer.convert_ids_to_tokens(token))
        return written.encode() if token in self._added else token_bytes(written, self._decoder)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """See `Tokenizer.encode`."""
        # verbose: it would log a warning for a text that is longer than the model's context
        tokens: list[int] = self._tokenizer(text, add_special_tokens=add_special_tokens, verbose=False).input_ids
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text if isinstance(text, str) else "".join(text)
