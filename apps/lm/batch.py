"""Computes the next token of many sequences in one forward pass; they join and leave between any two.

The sequences that answer are the first rows of one cache, without gaps; a prompt is read in a cache of its own, part by
part. Where a CPU would be idle it reads beside the tokens, so that nobody who answers waits for it. Else what most
sequences wait for comes first: if more wait to be read than answer, large parts and no tokens, otherwise a small part
between two tokens.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import torch

from apps.lm.cache import RowCache
from apps.lm.member import Member
from apps.lm.sampling import chooser

PROMPT_PART, PROMPT_PART_MOST = 32, 128  # tokens of a prompt in one pass: between tokens, and else


class Batch:
    """At most `rows` sequences of at most `context` tokens that answer; more may wait. Not for several threads.

    `reader` reads prompts, one part after another; without it, the thread that computes the tokens does.
    """

    def __init__(self, model: Any, rows: int, context: int, reader: Executor | None = None) -> None:
        self._model, self._rows, self._context, self._reader = model, rows, context, reader
        self._cache, self._prompt = RowCache(model, rows, context), RowCache(model, 1, context)
        self._waiting: deque[Member] = deque()  # the first one's prompt is being read
        self._running: list[Member] = []
        self._reading: tuple[Member, Future[torch.Tensor]] | None = None  # by the reader
        self._read_last = False  # without one: in the last step, and not answered
        for cache in (self._cache, self._prompt):  # a pass of one token shows what keys and values look like
            self._forward(cache, [Member((0,), 1)], [(0,)])

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    def __iter__(self) -> Iterator[Member]:
        return iter([*self._running, *self._waiting])

    def most_bytes(self, tokens: int) -> int:
        """How large keys and values get while no more than `tokens` have room at once."""
        return self._cache.most_bytes(tokens) + self._prompt.most_bytes(self._context)

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
            self._cache.copy(self._cache, len(self._running), row, last.length)
            self._running[row] = last
        self._cache.release(len(self._running))

    @torch.inference_mode()
    def step(self) -> list[Member]:
        """Compute one more token for the sequences that have their first, or read a part of the next prompt, or both.

        Return the sequences that have one more token or have failed; who has finished has left the batch by then.
        """
        next_one = self._waiting[0] if self._waiting and len(self._running) < self._rows else None
        if self._reader:
            if next_one and not self._reading:
                self._reading = next_one, self._reader.submit(self._read, next_one, PROMPT_PART_MOST)
            given = self._answer() if self._running else []
            if self._reading and (not given or self._reading[1].done()):
                (member, future), self._reading = self._reading, None
                given += self._have_read(member, future.result)
            return given
        most_wait = len(self._waiting) > len(self._running)
        self._read_last = next_one is not None and (most_wait or not self._read_last)
        if self._read_last:
            part = PROMPT_PART_MOST if most_wait else PROMPT_PART
            return self._have_read(next_one, partial(self._read, next_one, part))
        return self._answer()

    def _answer(self) -> list[Member]:
        members = list(self._running)
        tokens = [member.tokens[-1:] for member in members]
        return self._choose(members, self._forward(self._cache, members, tokens))

    def _have_read(self, member: Member, logits: Callable[[], torch.Tensor]) -> list[Member]:
        """Let a sequence answer if all of its prompt is read."""
        if member not in self._waiting:  # has left
            return []
        try:
            following = logits()
            if member.length < len(member.prompt):
                return []
            self._cache.copy(self._prompt, 0, len(self._running), member.length)
        except Exception as error:  # of this one; the others' tokens are good
            member.error = error
            self.leave(member)
            return [member]
        self._running.append(self._waiting.popleft())
        return self._choose([member], following)

    def _read(self, member: Member, part: int) -> torch.Tensor:
        return self._forward(self._prompt, [member], [member.prompt[member.length :][:part]])

    @torch.inference_mode()  # which holds for a thread
    def _forward(self, cache: RowCache, members: list[Member], tokens: list[Sequence[int]]) -> torch.Tensor:
        """Add as many tokens to each of the first rows; return the logits that follow, a row each."""
        new = len(tokens[0])
        about = cache.open([member.length for member in members], new)
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
        return list(members)
