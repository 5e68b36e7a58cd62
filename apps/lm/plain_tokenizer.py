"""What the service asks of transformers' tokenizer, from the same files without transformers: it takes seconds to
import, and brings nothing else that this engine needs."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tokenizers import Tokenizer


class PlainTokenizer:
    """The tokenizer of a transformers folder; calls and results are those of transformers."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        tokens = {key: value for key, value in settings.items() if key.endswith("_token") and value}
        self.special_tokens_map = {key: _text(token) for key, token in tokens.items() if token is not True}
        template = folder / "chat_template.jinja"
        self.chat_template = template.read_text() if template.exists() else settings.get("chat_template")

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a text, where the model has one."""
        end = self.special_tokens_map.get("eos_token")
        return None if end is None else self._tokenizer.token_to_id(end)

    def __call__(self, text: str, *, add_special_tokens: bool = True, **ignored: Any) -> SimpleNamespace:
        """`input_ids` of `text`."""
        return SimpleNamespace(input_ids=self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool = False, **ignored: Any) -> str:
        """The text of `tokens`."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=skip_special_tokens)


def _text(token: str | dict) -> str:
    return token if isinstance(token, str) else token["content"]
