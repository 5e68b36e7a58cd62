"""POST /generate."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from apps.lm import events
from apps.lm.answer import Answer
from apps.lm.budget import PromptError
from apps.lm.schemas import ANSWER_EXAMPLE, EXAMPLES, GenerateRequest, GenerateResponse
from apps.serving.body import json_body, read_json
from apps.serving.context import context
from apps.serving.problems import Problem
from apps.serving.runtime import Runtime, Work

if TYPE_CHECKING:
    from apps.lm.model import LanguageModel


def add_routes(app: FastAPI, runtime: Runtime) -> None:
    """Register POST /generate."""

    @app.post(
        "/generate",
        tags=["generation"],
        response_model=GenerateResponse,
        openapi_extra=json_body(GenerateRequest, EXAMPLES),
        responses={200: {"content": {"application/json": {"example": ANSWER_EXAMPLE}, "text/event-stream": {}}}},
    )
    async def generate(request: Request) -> Response:
        """Continue a prompt; without a temperature, the same prompt gets the same answer.

        With `stream`, pieces come as server-sent events, `{"text": …}`, and the last one is the whole answer.
        """
        model: LanguageModel = runtime.model
        body = await read_json(request, GenerateRequest)
        answer = await _prepare(model, body)

        def summary() -> dict[str, Any]:
            return _summary(answer, model.identity.version, context(request.scope).started)

        if body.stream:
            return await events.respond(request, runtime, answer, summary)
        await runtime.compute(request, lambda work: _finish(answer, work))
        return JSONResponse(summary())


async def _prepare(model: "LanguageModel", body: GenerateRequest) -> Answer:
    """Tokenise in a thread: a prompt may be as long as a body, and health answers meanwhile."""
    try:
        wanted = await asyncio.to_thread(model.read, body.prompt, body.max_new_tokens, body.sampling)
    except PromptError as error:
        detail = str(error)
        raise Problem(422, detail, errors=[{"pointer": "#/prompt", "detail": detail}]) from None
    return model.answer(wanted, body.stops)


def _finish(answer: Answer, work: Work) -> None:
    for _ in answer.run(lambda: work.cancelled):
        pass


def _summary(answer: Answer, version: str, started: float) -> dict[str, Any]:
    prompt, completion = len(answer.wanted.prompt), len(answer.tokens)
    return {
        "generated_text": answer.text,
        "finish_reason": answer.finish_reason,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
        "model_version": version,
        "timings": {
            "first_token_seconds": round((answer.first_token_time or started) - started, 4),
            "total_seconds": round(time.monotonic() - started, 4),
        },
    }
