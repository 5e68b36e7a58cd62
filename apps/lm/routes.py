"""POST /generate."""

import time
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from apps.lm.answer import Answer
from apps.lm.answering import Answering
from apps.lm.budget import PromptError
from apps.lm.engine import Generation
from apps.lm.events import event
from apps.lm.schemas import ANSWERS, EXAMPLES, GenerateRequest, GenerateResponse
from apps.serving.body import json_body
from apps.serving.problems import Problem


def add_routes(app: FastAPI, answering: Answering) -> None:
    """Register POST /generate."""

    @app.post(
        "/generate",
        tags=["generation"],
        response_model=GenerateResponse,
        openapi_extra=json_body(GenerateRequest, EXAMPLES),
        responses=ANSWERS,
    )
    async def generate(request: Request) -> Response:
        """Continue a prompt; without a temperature, the same prompt gets the same answer.

        With `stream`, pieces come as server-sent events, `{"text": …, "usage": …}`; the last one is the whole answer.
        """
        model = answering.model

        def read(body: GenerateRequest) -> Generation:
            return model.read(model.tokenize(body.prompt), body.max_new_tokens, body.sampling)

        try:
            body, answer = await answering.prepare(request, GenerateRequest, read)
        except PromptError as error:
            raise Problem(422, str(error), errors=[{"pointer": "#/prompt", "detail": str(error)}]) from None
        if body.stream:
            return await answering.stream(request, answer, Events(answer, model.identity.version))
        await answering.whole(request, answer)
        return JSONResponse(summary(answer, model.identity.version))


@dataclass
class Events:
    """As `apps.lm.events.Form` says."""

    answer: Answer
    version: str

    def piece(self, text: str) -> str:
        return event({"text": text, "usage": self.answer.usage})

    def end(self) -> str:
        return event(summary(self.answer, self.version))

    def error(self, problem: Problem) -> str:
        return event({"status": problem.status, "detail": problem.detail}, "error")


def summary(answer: Answer, version: str) -> dict[str, Any]:
    """The answer's document, once it is complete."""
    return {
        "generated_text": answer.text,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "model_version": version,
        "timings": {
            "first_token_seconds": round((answer.first_token_time or answer.arrived) - answer.arrived, 4),
            "total_seconds": round(time.monotonic() - answer.arrived, 4),
        },
    }
