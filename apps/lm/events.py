"""Sends an answer as server-sent events while it is computed.

Each event is JSON: first the pieces, {"text": …}, then what a whole answer would have been. What goes wrong before the
first piece is an ordinary error response; afterwards it is the last event, named `error`, with the problem.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Request
from starlette.responses import StreamingResponse

from apps.lm.answer import Answer
from apps.serving.problems import ClientGone, Problem
from apps.serving.runtime import Runtime, Work

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would collect pieces


async def respond(
    request: Request, runtime: Runtime, answer: Answer, summary: Callable[[], dict[str, Any]]
) -> StreamingResponse:
    """Run `answer` where and when its turn comes; `summary()` is the last event.

    Raises what `Runtime.compute` raises, as long as nothing was sent.
    """
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    say = asyncio.get_running_loop().call_soon_threadsafe

    def compute(work: Work) -> None:
        for piece in answer.run(lambda: work.cancelled):
            say(pieces.put_nowait, piece)

    task = asyncio.create_task(runtime.compute(request, compute))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        first = await pieces.get()
        if first is None:
            await task
    except BaseException:
        task.cancel()
        raise
    events = _events(first, pieces, task, summary)
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def _events(
    piece: str | None, pieces: asyncio.Queue[str | None], task: asyncio.Task, summary: Callable[[], dict[str, Any]]
) -> AsyncIterator[str]:
    try:
        while piece is not None:
            yield _event({"text": piece})
            piece = await pieces.get()
        await task
        yield _event(summary())
    except Problem as problem:
        yield "event: error\n" + _event({"status": problem.status, "detail": problem.detail})
    except ClientGone:
        return
    finally:
        task.cancel()


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
