"""POST /generate."""

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from apps.lm.answer import Answer, Piece
from apps.lm.api import answering
from apps.lm.api.events import event
from apps.lm.api.generate.schemas import EXAMPLES, RESPONSES, GenerateRequest, GenerateResponse
from apps.lm.budget import PromptError
from apps.serving import problems
from apps.serving.http.body import json_body
from apps.serving.problems import Problem

router = APIRouter(responses=problems.RESPONSES)


@router.post(
    "/generate",
    tags=["generation"],
    response_model=GenerateResponse,
    openapi_extra=json_body(GenerateRequest, EXAMPLES),
    responses=RESPONSES,
)
async def generate(request: Request) -> Response:
    """Continue a prompt; without a temperature, the same prompt gets the same answer.

    With `stream`, pieces come as server-sent events, `{"text": …, "usage": …}`; the last one is the whole answer.
    """
    try:
        return await answering.respond(request, GenerateRequest, lambda _, answers: GenerateForm(*answers))
    except PromptError as error:
        raise Problem(422, str(error), errors=[{"pointer": "#/prompt", "detail": str(error)}]) from None


class GenerateForm:
    """See `apps.lm.api.events.Form`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def whole(self) -> dict[str, Any]:
        """A GenerateResponse."""
        answer, arrived = self._answer, self._answer.arrived
        return {
            "generated_text": answer.text,
            "finish_reason": answer.finish_reason,
            **answer.finish_details,
            "usage": answer.usage,
            "model_version": answer.identity.version,
            "timings": {
                "first_token_seconds": round((answer.first_token_time or arrived) - arrived, 4),
                "total_seconds": round(time.monotonic() - arrived, 4),
            },
        }

    def piece(self, index: int, piece: Piece) -> str:
        """A Piece."""
        return event({"text": piece.text, "usage": self._answer.usage_at(piece.tokens)})

    def end(self, index: int) -> str:
        """A GenerateResponse."""
        return event(self.whole())

    def done(self) -> str:
        """Nothing: the whole answer is the last event."""
        return ""

    def error(self, problem: Problem) -> str:
        """A StreamError."""
        return event({"status": problem.status, "detail": problem.detail}, "error")
