"""/v1/completions, /v1/chat/completions and /v1/models."""

import time
from enum import Enum
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from apps.lm.api import answering
from apps.lm.api.openai import documents
from apps.lm.api.openai.chats import CHAT_EXAMPLES, ChatRequest
from apps.lm.api.openai.completions import COMPLETION_EXAMPLES, CompletionRequest
from apps.lm.api.openai.forms import ChatForm, CompletionForm
from apps.lm.api.openai.problems import no_embeddings, openai_statuses, require
from apps.lm.model import LanguageModel
from apps.serving import problems
from apps.serving.context import context
from apps.serving.http.body import json_body
from apps.serving.runtime import runtime_of

router = APIRouter(responses=problems.RESPONSES)
TAGS: list[str | Enum] = ["OpenAI"]
STARTED = int(time.time())


@router.post(
    "/v1/completions",
    tags=TAGS,
    openapi_extra=json_body(CompletionRequest, COMPLETION_EXAMPLES),
    responses=documents.COMPLETIONS,
)
async def completions(request: Request) -> Response:
    """Continue a text."""
    model, request_id = runtime_of(request).model, context(request.scope).request_id
    with openai_statuses("prompt"):
        return await answering.respond(
            request, CompletionRequest, lambda body, answers: CompletionForm(body, answers, model, request_id)
        )


@router.post(
    "/v1/chat/completions",
    tags=TAGS,
    openapi_extra=json_body(ChatRequest, CHAT_EXAMPLES),
    responses=documents.CHATS,
)
async def chat(request: Request) -> Response:
    """Answer a conversation, put to the model by its own chat template."""
    model, request_id = runtime_of(request).model, context(request.scope).request_id
    with openai_statuses("messages"):
        return await answering.respond(
            request, ChatRequest, lambda body, answers: ChatForm(body, answers, model, request_id)
        )


@router.post("/v1/embeddings", include_in_schema=False)
async def embeddings(request: Request) -> Response:
    """Refuse by name what a model for text does not have."""
    raise no_embeddings(runtime_of(request).model)


@router.get("/v1/models", tags=TAGS)
async def models(request: Request) -> dict[str, Any]:
    """The one model that answers."""
    return {"object": "list", "data": [_describe(runtime_of(request).model)]}


@router.get("/v1/models/{name:path}", tags=TAGS)
async def model(request: Request, name: str) -> dict[str, Any]:
    """The same, by its name."""
    require(runtime_of(request).model, name)
    return _describe(runtime_of(request).model)


def _describe(model: LanguageModel) -> dict[str, Any]:
    return {
        "id": model.identity.name,
        "object": "model",
        "created": STARTED,
        "owned_by": "inference-service",
        "max_model_len": model.budget.total,
    }
