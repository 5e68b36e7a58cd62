"""From a prompt to its answer, whole or streamed: the same for every protocol."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request
from starlette.responses import StreamingResponse

from apps.lm import events
from apps.lm.answer import Answer
from apps.lm.engine import Generation
from apps.lm.metrics import Meter
from apps.lm.openai.schemas import Wanted
from apps.lm.schemas import GenerateRequest
from apps.serving.body import parse_json, read_json_body
from apps.serving.context import context
from apps.serving.runtime import Runtime, Work

if TYPE_CHECKING:
    from apps.lm.model import LanguageModel


B = TypeVar("B", bound=GenerateRequest | Wanted)


class Answering:
    """Lets answers be computed, each in its turn and within the room that the batch has for tokens."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.meter: Meter | None = None  # there once the model is

    @property
    def model(self) -> "LanguageModel":
        """The model; raises a 503 Problem while starting."""
        return self._runtime.model

    async def prepare(self, request: Request, schema: type[B], read: Callable[[B], Generation]) -> tuple[B, Answer]:
        """Return the body as `schema`, and the answer to the prompt that `read` takes from it.

        Raises what `read` and `read_json` raise, and what `Runtime.prepare` does.
        """
        content = await read_json_body(request)

        def prepare() -> tuple[B, Answer]:
            body = parse_json(content, schema)
            return body, self.model.answer(read(body), body.stops)

        body, answer = await self._runtime.prepare(request, prepare)
        answer.meter, answer.arrived = self.meter, context(request.scope).started
        return body, answer

    async def whole(self, request: Request, answer: Answer) -> None:
        """Compute all of `answer`; raises what `Runtime.compute` raises."""

        def compute(work: Work) -> None:
            for _ in answer.run(lambda: work.cancelled):
                pass

        await self._runtime.compute(request, compute, size=answer.wanted.size)

    async def stream(self, request: Request, answer: Answer, form: events.Form) -> StreamingResponse:
        """Send `answer` while it is computed; raises what `Runtime.compute` raises, as long as nothing was sent."""
        return await events.respond(request, self._runtime, answer, form)
