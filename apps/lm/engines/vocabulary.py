"""Refuses a tokenizer with ids that the model does not know: each prompt with one of them would fail."""

from collections.abc import Iterable
from pathlib import Path

from apps.serving.identity import LoadError


def check(folder: Path, ids: Iterable[int], known: int) -> None:
    """Raise LoadError if one of the tokenizer's `ids` is not less than `known`, the ids that the model has."""
    largest = max(ids, default=0)
    if largest >= known:
        raise LoadError(
            f"{str(folder)!r} has a tokenizer with ids up to {largest}, and its model knows those up to {known - 1}. "
            "Publish the model with its own tokenizer."
        )
