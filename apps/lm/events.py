"""Sends an answer as server-sent events while it is computed.

What goes wrong before the first piece is an ordinary error response; afterwards it is the last event.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

from fastapi import Request
from starlette.responses import StreamingResponse

from apps.lm.answer import Answer
from apps.serving.context import context
from apps.serving.problems import ClientGone, Problem, unexpected
from apps.serving.runtime import Runtime, Work

CLIENT_LEFT = 499  # the outcome of a stream until its end was sent
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would collect pieces


class Form(Protocol):
    """How a protocol writes an answer; each method gives one event or several, made by `event`."""

    def piece(self, text: str) -> str:
        """What is said of a piece of the text."""
        ...

    def end(self) -> str:
        """What follows the last piece."""
        ...

    def error(self, problem: Problem) -> str:
        """What follows a piece when nothing else can."""
        ...


def event(content: Any, name: str = "") -> str:
    """Write `content` as JSON in one event."""
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(content, ensure_ascii=False)}\n\n"


async def respond(request: Request, runtime: Runtime, answer: Answer, form: Form) -> StreamingResponse:
    """Run `answer` where and when its turn comes.

    Raises what `Runtime.compute` raises, as long as nothing was sent.
    """
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    say = asyncio.get_running_loop().call_soon_threadsafe

    def compute(work: Work) -> None:
        for piece in answer.run(lambda: work.cancelled):
            say(pieces.put_nowait, piece)

    task = asyncio.create_task(runtime.compute(request, compute, size=answer.wanted.size))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        first = await pieces.get()
        if first is None:
            await task
    except BaseException:
        task.cancel()
        raise
    context(request.scope).outcome = CLIENT_LEFT
    events = _events(request, first, pieces, task, form)
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def _events(
    request: Request, piece: str | None, pieces: asyncio.Queue[str | None], task: asyncio.Task, form: Form
) -> AsyncIterator[str]:
    try:
        while piece is not None:
            yield form.piece(piece)
            piece = await pieces.get()
        await task
        yield form.end()
        context(request.scope).outcome = 200
    except ClientGone:
        return
    except Exception as error:
        problem = error if isinstance(error, Problem) else unexpected(request.scope)
        context(request.scope).outcome = problem.status
        yield form.error(problem)
    finally:
        task.cancel()
