"""Computes the answers of one request, each admitted for itself, side by side in the batch."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from fastapi import Request

from apps.lm.answer import Answer, Piece
from apps.serving.problems import Problem
from apps.serving.runtime import Runtime, Work, runtime_of

Receive = Callable[[int, Piece | None], None]  # (index of the answer, its next piece or None at its end)


async def compute(request: Request, answers: Sequence[Answer], receive: Receive = lambda index, piece: None) -> None:
    """Compute all `answers`; `receive` gets their pieces, in threads that compute for all requests: it must be quick.

    Of several, half of the places compute at once at most: the others are for other requests. One that has no place
    before the deadline is empty if another has tokens. Raises what `Runtime.compute` raises, upon which all end.
    """
    runtime = runtime_of(request)
    if len(answers) == 1:
        return await _compute(runtime, request, answers[0], 0, receive)
    places = asyncio.Semaphore(max(1, runtime.settings.max_in_flight // 2))

    async def compute_next(index: int) -> None:
        async with places:
            try:
                await _compute(runtime, request, answers[index], index, receive)
            except Problem as problem:
                if problem.status not in (503, 504) or not any(answer.tokens for answer in answers):
                    raise
                answers[index].late = True
                receive(index, None)

    tasks = [asyncio.create_task(compute_next(index)) for index in range(len(answers))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _compute(runtime: Runtime, request: Request, answer: Answer, index: int, receive: Receive) -> None:
    def run(work: Work) -> None:
        answer.run(partial(receive, index), lambda: work.cancelled)
        if not work.cancelled:
            receive(index, None)

    await runtime.compute(request, run, size=answer.request.total_tokens, queued=index > 0)
