"""The way from a request to its answers, the same for every protocol."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import Request
from starlette.responses import JSONResponse, Response

from apps.lm.answer import Answer
from apps.lm.api import events
from apps.lm.api.computing import compute
from apps.lm.api.schemas import AnswerRequest
from apps.lm.model import LanguageModel
from apps.serving.context import context
from apps.serving.http.body import parse_json, read_json_body
from apps.serving.runtime import runtime_of

B = TypeVar("B", bound=AnswerRequest)


async def respond(
    request: Request, schema: type[B], make_form: Callable[[B, Sequence[Answer]], events.Form]
) -> Response:
    """Compute the answers to `request`, whose body is a `schema`, and send them in the form of its protocol.

    Raises Problem and ClientGone as `read_json`, `Runtime.prepare` and `Runtime.compute` do, and what
    `AnswerRequest.tokenize` and `AnswerRequest.grammar` raise.
    """
    body, answers = await _prepare(request, schema)
    form = make_form(body, answers)
    if body.streamed:
        return await events.stream(request, answers, form)
    await compute(request, answers)
    return JSONResponse(form.whole())


async def _prepare(request: Request, schema: type[B]) -> tuple[B, list[Answer]]:
    """Parse the body and tokenise its prompts, in the thread for that."""
    runtime = runtime_of(request)
    model: LanguageModel = runtime.model
    content = await read_json_body(request)

    def prepare() -> tuple[B, list[Answer]]:
        body = parse_json(content, schema)
        prompts, grammar = body.tokenize(model), body.grammar(model)
        arrived = context(request.scope).started
        return body, [
            model.answer(prompt, body.options(copy), arrived, grammar and grammar.copy())
            for prompt in prompts
            for copy in range(body.copies)
        ]

    return await runtime.prepare(request, prepare)
