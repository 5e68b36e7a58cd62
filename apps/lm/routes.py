"""POST /generate."""

import asyncio
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from apps.lm.answer import Answer
from apps.lm.budget import PromptError
from apps.lm.engine import Generation
from apps.lm.schemas import ANSWER_EXAMPLE, EXAMPLES, GenerateRequest, GenerateResponse
from apps.serving.body import json_body, read_json
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
        responses={200: {"content": {"application/json": {"example": ANSWER_EXAMPLE}}}},
    )
    async def generate(request: Request) -> JSONResponse:
        """Continue a prompt; without a temperature, the same prompt gets the same answer."""
        model: LanguageModel = runtime.model
        body = await read_json(request, GenerateRequest)
        wanted = await _read(model, body)
        answer, text = await runtime.compute(request, lambda work: _answer(model, wanted, body.stops, work))
        usage = {"prompt_tokens": len(wanted.prompt), "completion_tokens": len(answer.tokens)}
        return JSONResponse(
            {
                "generated_text": text,
                "finish_reason": answer.finish_reason,
                "usage": usage | {"total_tokens": sum(usage.values())},
                "model_version": model.identity.version,
            }
        )


def _answer(model: "LanguageModel", wanted: Generation, stops: list[str], work: Work) -> tuple[Answer, str]:
    answer = model.answer(wanted, lambda: work.cancelled, stops)
    return answer, "".join(answer)


async def _read(model: "LanguageModel", body: GenerateRequest) -> Generation:
    """Tokenise in a thread: a prompt may be as long as a body, and health answers meanwhile."""
    try:
        return await asyncio.to_thread(model.read, body.prompt, body.max_new_tokens, body.sampling)
    except PromptError as error:
        detail = str(error)
        raise Problem(422, detail, errors=[{"pointer": "#/prompt", "detail": detail}]) from None
