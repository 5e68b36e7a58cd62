"""POST /generate."""

import asyncio
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from apps.lm.budget import PromptError
from apps.lm.schemas import ANSWER_EXAMPLE, EXAMPLES, GenerateRequest, GenerateResponse
from apps.serving.body import json_body, read_json
from apps.serving.problems import Problem
from apps.serving.runtime import Runtime

if TYPE_CHECKING:
    from apps.lm.model import LanguageModel, Prompt


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
        """Continue a prompt. The same prompt gets the same answer."""
        model: LanguageModel = runtime.model
        wanted = await read_json(request, GenerateRequest)
        prompt = await _read(model, wanted)
        answer = await runtime.compute(request, lambda work: model.answer(prompt, lambda: work.cancelled))
        usage = {"prompt_tokens": len(prompt.tokens), "completion_tokens": len(answer.tokens)}
        return JSONResponse(
            {
                "generated_text": answer.text,
                "finish_reason": answer.finish_reason,
                "usage": usage | {"total_tokens": sum(usage.values())},
                "model_version": model.identity.version,
            }
        )


async def _read(model: "LanguageModel", wanted: GenerateRequest) -> "Prompt":
    """Tokenise in a thread: a prompt may be as long as a body, and health answers meanwhile."""
    try:
        return await asyncio.to_thread(model.read, wanted.prompt, wanted.max_new_tokens)
    except PromptError as error:
        detail = str(error)
        raise Problem(422, detail, errors=[{"pointer": "#/prompt", "detail": detail}]) from None
