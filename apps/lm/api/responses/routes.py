"""POST /v1/responses."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from apps.lm.api import answering
from apps.lm.api.openai.problems import openai_statuses
from apps.lm.api.openai.routes import TAGS
from apps.lm.api.responses.documents import RESPONSES
from apps.lm.api.responses.forms import ResponseForm
from apps.lm.api.responses.schemas import EXAMPLES, ResponseRequest
from apps.serving import problems
from apps.serving.context import context
from apps.serving.http.body import json_body
from apps.serving.runtime import runtime_of

router = APIRouter(responses=problems.RESPONSES)


@router.post("/v1/responses", tags=TAGS, openapi_extra=json_body(ResponseRequest, EXAMPLES), responses=RESPONSES)
async def responses(request: Request) -> Response:
    """Answer a text or a conversation; nothing is stored."""
    model, request_id = runtime_of(request).model, context(request.scope).request_id
    with openai_statuses("input", "text"):
        return await answering.respond(
            request, ResponseRequest, lambda body, answers: ResponseForm(body, answers[0], model, request_id)
        )
