"""Sends an answer as server-sent events while it is computed.

An error before the first piece is an ordinary error response; a later one is the last event.
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
from apps.serving.runtime import Work, runtime_of

CLIENT_GONE = 499  # the outcome of a stream until its end was sent
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would collect pieces
LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}  # where str.splitlines divides, as clients do


class Form(Protocol):
    """How a protocol writes an answer: as a whole, or as one or more events (made by `event`) for each part."""

    def whole(self) -> dict[str, Any]:
        """The JSON document of the complete answer."""

    def piece(self, text: str) -> str:
        """The events of a piece of the text."""

    def end(self) -> str:
        """The events after the last piece."""

    def error(self, problem: Problem) -> str:
        """The events if a stream fails after its first piece."""


def event(content: Any, name: str = "") -> str:
    """Write `content` as JSON in one event."""
    line = f"event: {name}\n" if name else ""
    text = json.dumps(content, ensure_ascii=False)
    for character, escaped in LINE_ENDS.items():
        text = text.replace(character, escaped)
    return f"{line}data: {text}\n\n"


async def stream(request: Request, answer: Answer, form: Form) -> StreamingResponse:
    """Compute `answer` and send its pieces. Until the first piece, raises what `Runtime.compute` raises."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()  # None: the computation has ended
    call_in_loop = asyncio.get_running_loop().call_soon_threadsafe

    def compute(work: Work) -> None:
        for piece in answer.run(lambda: work.cancelled):
            call_in_loop(pieces.put_nowait, piece)

    task = asyncio.create_task(runtime_of(request).compute(request, compute, size=answer.request.total_tokens))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        first = await pieces.get()
        if first is None:
            await task
    except BaseException:
        task.cancel()
        raise
    context(request.scope).outcome = CLIENT_GONE
    events = _events(request, first, pieces, task, form)
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def _events(
    request: Request, piece: str | None, pieces: asyncio.Queue[str | None], task: asyncio.Task[None], form: Form
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
