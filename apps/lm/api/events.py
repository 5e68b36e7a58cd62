"""Sends an answer as server-sent events while it is computed.

An error before the first piece is an ordinary error response; a later one is the last event.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from fastapi import Request
from starlette.responses import StreamingResponse

from apps.lm.answer import Answer, Piece
from apps.lm.api.computing import compute
from apps.serving.context import context
from apps.serving.problems import ClientGone, Problem, unexpected

Part = tuple[int, Piece | None]  # of the answer with this index; None: its end
CLIENT_GONE = 499  # the outcome of a stream until its end was sent
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would collect pieces
LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}  # where str.splitlines divides, as clients do


class Form(Protocol):
    """How a protocol writes answers: as a whole, or as events (made by `event`) for each part."""

    def whole(self) -> dict[str, Any]:
        """The JSON document of the complete answers."""

    def piece(self, index: int, piece: Piece) -> str:
        """The events of a piece of answer number `index`."""

    def end(self, index: int) -> str:
        """The events after the last piece of answer number `index`."""

    def done(self) -> str:
        """The events after the end of all answers."""

    def error(self, problem: Problem) -> str:
        """The events if a stream fails after its first piece."""


def event(content: Any, name: str = "") -> str:
    """Write `content` as JSON in one event."""
    line = f"event: {name}\n" if name else ""
    text = json.dumps(content, ensure_ascii=False)
    for character, escaped in LINE_ENDS.items():
        text = text.replace(character, escaped)
    return f"{line}data: {text}\n\n"


async def stream(request: Request, answers: Sequence[Answer], form: Form) -> StreamingResponse:
    """Compute `answers` and send their pieces. Until the first piece, raises what `Runtime.compute` raises."""
    parts: asyncio.Queue[Part | None] = asyncio.Queue()  # None: the computation has ended
    call_in_loop = asyncio.get_running_loop().call_soon_threadsafe

    def receive(index: int, piece: Piece | None) -> None:
        call_in_loop(parts.put_nowait, (index, piece))

    task = asyncio.create_task(compute(request, answers, receive))
    task.add_done_callback(lambda _: parts.put_nowait(None))
    try:
        first = await parts.get()
        if first is None:
            await task
    except BaseException:
        task.cancel()
        raise
    context(request.scope).outcome = CLIENT_GONE
    events = _events(request, first, parts, task, form)
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def _events(
    request: Request, part: Part | None, parts: asyncio.Queue[Part | None], task: asyncio.Task[None], form: Form
) -> AsyncIterator[str]:
    try:
        while part is not None:
            index, piece = part
            yield form.end(index) if piece is None else form.piece(index, piece)
            part = await parts.get()
        await task
        yield form.done()
        context(request.scope).outcome = 200
    except ClientGone:
        return
    except Exception as error:
        problem = error if isinstance(error, Problem) else unexpected(request.scope)
        context(request.scope).outcome = problem.status
        yield form.error(problem)
    finally:
        task.cancel()
