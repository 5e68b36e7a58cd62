"""Computes the next token of many sequences in one forward pass; they join and leave between any two.

The first rows of the cache are the sequences that answer, without gaps. Its last row is where the next prompt is
read. What most sequences wait for comes first: if more wait to be read than answer, prompts come before tokens; else a
prompt is read in small parts between the tokens, so that a long one does not keep those who answer waiting.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from apps.lm.cache import RowCache
from apps.lm.member import Member
from apps.lm.sampling import chooser

PROMPT_PART, PROMPT_PART_MOST = 32, 128  # tokens of a prompt in one step: while few wait to be read, and else


class Batch:
    """At most `rows` sequences of at most `context` tokens that answer; more may wait. Not for several threads."""

    def __init__(self, model: Any, rows: int, context: int) -> None:
        self._model, self._rows, self._context = model, rows, context
        self._cache = RowCache(model, rows + 1, context)
        self._waiting: deque[Member] = deque()  # the first one's prompt is being read
        self._running: list[Member] = []
        self._read_last = False  # in the last step, and not answered
        self.computing: list[Member] = []  # whose forward pass is the last that was begun
        self._lay_out()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    def __iter__(self) -> Iterator[Member]:
        return iter([*self._running, *self._waiting])

    def most_bytes(self, tokens: int) -> int:
        """How large keys and values get while no more than `tokens` have room at once."""
        return self._cache.most_bytes(tokens + self._context)  # what is read has its place in its row and in the last

    def join(self, member: Member) -> None:
        """Let a sequence wait for its turn; raise ValueError if it cannot fit."""
        if not member.prompt or len(member.prompt) + member.most > self._context:
            raise ValueError(f"{len(member.prompt)} + {member.most} tokens do not fit in 1 to {self._context}.")
        member.choose = chooser(member.sampling)
        self._waiting.append(member)

    @torch.inference_mode()
    def leave(self, member: Member) -> None:
        """Take out a sequence that is in the batch; the last one moves into its place."""
        if member in self._waiting:
            return self._waiting.remove(member)
        row, last = self._running.index(member), self._running.pop()
        if last is not member:
            self._cache.copy(len(self._running), row, last.length)
            self._running[row] = last
        self._cache.release(len(self._running))

    @torch.inference_mode()
    def step(self) -> list[Member]:
        """Read a part of the next prompt, or compute one more token for every sequence that has its first.

        Return the sequences that have one more token or have failed; who has finished has left the batch by then.
        """
        may_read = bool(self._waiting) and len(self._running) < self._rows
        most_wait = len(self._waiting) > len(self._running)
        self._read_last = may_read and (most_wait or not self._read_last)
        if self._read_last:
            return self._read(self._waiting[0], PROMPT_PART_MOST if most_wait else PROMPT_PART)
        members = list(self._running)
        return self._choose(members, self._forward(0, members, [member.tokens[-1:] for member in members]))

    def _read(self, member: Member, part: int) -> list[Member]:
        logits = self._forward(self._rows, [member], [member.prompt[member.length :][:part]])
        if member.length < len(member.prompt):
            return []
        self._cache.copy(self._rows, len(self._running), member.length)
        self._running.append(self._waiting.popleft())
        return self._choose([member], logits)

    @torch.inference_mode()
    def _lay_out(self) -> None:
        """Let a forward pass of one token show what keys and values look like."""
        self._forward(self._rows, [Member((0,), 1)], [(0,)])

    def _forward(self, row: int, members: list[Member], tokens: list[Sequence[int]]) -> torch.Tensor:
        """Add as many tokens to each of the rows from `row` on; return the logits that follow, a row each."""
        self.computing, new = members, len(tokens[0])
        about = self._cache.open(row, [member.length for member in members], new)
        ids = torch.tensor(tokens, device=self._model.device)
        output = self._model(ids, use_cache=True, logits_to_keep=1, **about)
        for member in members:
            member.length += new
        return output.logits[:, -1].float().cpu()

    def _choose(self, members: list[Member], logits: torch.Tensor) -> list[Member]:
        for member, row in zip(members, logits, strict=True):
            try:
                member.tokens.append(member.choose(row))
            except Exception as error:  # of this one; the others' tokens are good
                member.error = error
            if member.finished:
                self.leave(member)
        return members
