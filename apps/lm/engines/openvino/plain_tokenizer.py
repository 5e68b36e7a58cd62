"""Does what transformers' tokenizer does, from the same files, without transformers, which takes seconds to import."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer


class PlainTokenizer:
    """The tokenizer of a transformers folder; see `apps.lm.engines.protocol.Tokenizer`."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        tokens = {key: value for key, value in settings.items() if key.endswith("_token") and value}
        self.special_tokens_map: Mapping[str, str] = {
            key: _text(token) for key, token in tokens.items() if token is not True
        }
        template = folder / "chat_template.jinja"
        self.chat_template: str | Mapping[str, str] | None = (
            template.read_text() if template.exists() else settings.get("chat_template")
        )

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a text; None if the model has none."""
        end = self.special_tokens_map.get("eos_token")
        return None if end is None else self._tokenizer.token_to_id(end)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """See `Tokenizer.encode`."""
        return self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """See `Tokenizer.decode`."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=skip_special_tokens)


def _text(token: str | dict[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]
