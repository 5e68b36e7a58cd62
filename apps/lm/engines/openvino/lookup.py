"""Proposes the next tokens of a sequence: those that followed its last tokens where they occurred before.

This is prompt lookup decoding (Saxena, 2023, github.com/apoorvumang/prompt-lookup-decoding): answers repeat their
prompts and themselves.
"""

from collections.abc import Iterable

SIZES = (8, 3, 2)  # of the last tokens that must have occurred before, most first


class Lookup:
    """The tokens of one sequence, and what followed each few of them last."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self._tail: tuple[int, ...] = ()
        self._next: dict[tuple[int, ...], int] = {}
        for token in tokens:
            self.push(token)

    def push(self, token: int) -> None:
        """Add the next token."""
        for size in SIZES:
            if len(self._tail) >= size:
                self._next[self._tail[-size:]] = token
        self._tail = (*self._tail, token)[-max(SIZES) :]

    def propose(self, count: int, fewest: int) -> list[int]:
        """Return at most `count` tokens that may come next: at least `fewest` tokens before each occurred before."""
        tokens, tail = list[int](), self._tail
        sizes = [size for size in SIZES if size >= fewest]
        while len(tokens) < count:
            token = next((self._next[tail[-size:]] for size in sizes if tail[-size:] in self._next), None)
            if token is None:
                break
            tokens.append(token)
            tail = (*tail, token)[-max(SIZES) :]
        return tokens
