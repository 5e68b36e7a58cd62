"""The way from a request to its answer, the same for every protocol."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.responses import JSONResponse, Response

from apps.lm.answer import Answer
from apps.lm.api import events
from apps.lm.api.schemas import AnswerRequest
from apps.lm.model import LanguageModel
from apps.serving.context import context
from apps.serving.http.body import parse_json, read_json_body
from apps.serving.runtime import Work, runtime_of

B = TypeVar("B", bound=AnswerRequest)


async def respond(request: Request, schema: type[B], make_form: Callable[[B, Answer], events.Form]) -> Response:
    """Compute the answer to `request`, whose body is a `schema`, and send it in the form of its protocol.

    Raises Problem and ClientGone as `read_json`, `Runtime.prepare` and `Runtime.compute` do, and what
    `AnswerRequest.tokenize` raises.
    """
    body, answer = await _prepare(request, schema)
    form = make_form(body, answer)
    if body.streamed:
        return await events.stream(request, answer, form)

    def compute(work: Work) -> None:
        for _ in answer.run(lambda: work.cancelled):
            pass

    await runtime_of(request).compute(request, compute, size=answer.request.total_tokens)
    return JSONResponse(form.whole())


async def _prepare(request: Request, schema: type[B]) -> tuple[B, Answer]:
    """Parse the body and tokenise its prompt, in the thread for that."""
    runtime = runtime_of(request)
    model: LanguageModel = runtime.model
    content = await read_json_body(request)

    def prepare() -> tuple[B, Answer]:
        body = parse_json(content, schema)
        prompt, arrived = body.tokenize(model), context(request.scope).started
        return body, model.answer(prompt, body.options, arrived)

    return await runtime.prepare(request, prepare)
