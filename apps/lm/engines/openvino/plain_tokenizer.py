"""Does what transformers' tokenizer does, from the same files, without transformers, which takes seconds to import."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from apps.lm.engines.token_bytes import token_bytes


class PlainTokenizer:
    """The tokenizer of a transformers folder; see `apps.lm.engines.protocol.Tokenizer`."""

    def __init__(self, folder: Path) -> None:
        self.backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.backend.no_truncation()
        self.backend.no_padding()
        self.vocabulary = max(self.ids, default=-1) + 1
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        extra = settings.get("extra_special_tokens")  # by name, or a list of tokens that templates cannot name
        named = settings | (extra if isinstance(extra, dict) else {})
        tokens = {key: value for key, value in named.items() if key.endswith("_token") and value}
        self.special_tokens_map: Mapping[str, str] = {
            key: _text(token) for key, token in tokens.items() if token is not True
        }
        self.chat_template = _files(folder) or _setting(settings.get("chat_template"))

    @property
    def ids(self) -> Iterable[int]:
        """The ids of all tokens."""
        return self.backend.get_vocab(with_added_tokens=True).values()

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a text; None if the model has none."""
        end = self.special_tokens_map.get("eos_token")
        return None if end is None else self.backend.token_to_id(end)

    def token_bytes(self, token: int) -> bytes:
        """See `Tokenizer.token_bytes`."""
        written = self.backend.id_to_token(token) or ""
        added = self.backend.get_added_tokens_decoder()
        return written.encode() if token in added else token_bytes(written, self.backend.decoder)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """See `Tokenizer.encode`."""
        return self.backend.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """See `Tokenizer.decode`."""
        return self.backend.decode(list(tokens), skip_special_tokens=skip_special_tokens)


def _files(folder: Path) -> Mapping[str, str]:
    """The templates in files, by name."""
    files = [(folder / "chat_template.jinja", "default")]
    files += [(file, file.stem) for file in sorted((folder / "additional_chat_templates").glob("*.jinja"))]
    return {name: file.read_text() for file, name in files if file.exists()}


def _setting(template: str | list[dict[str, str]] | None) -> str | Mapping[str, str] | None:
    """The templates in tokenizer_config.json, which may be a list of those with their names."""
    return {part["name"]: part["template"] for part in template} if isinstance(template, list) else template


def _text(token: str | dict[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]
