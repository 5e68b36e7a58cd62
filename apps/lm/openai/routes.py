"""/v1/completions, /v1/chat/completions and /v1/models."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from apps.lm.answering import Answering
from apps.lm.budget import PromptError
from apps.lm.engine import Generation
from apps.lm.model import ChatError
from apps.lm.openai import answers
from apps.lm.openai.forms import Chat, Completion, OpenAIProblem
from apps.lm.openai.schemas import CHAT_EXAMPLES, COMPLETION_EXAMPLES, ChatRequest, CompletionRequest, Wanted
from apps.serving.body import json_body
from apps.serving.context import context
from apps.serving.problems import Problem

if TYPE_CHECKING:
    from apps.lm.model import LanguageModel

TAGS = ["OpenAI"]


def add_routes(app: FastAPI, answering: Answering) -> None:
    """Register them."""
    created = int(time.time())

    @app.post(
        "/v1/completions",
        tags=TAGS,
        openapi_extra=json_body(CompletionRequest, COMPLETION_EXAMPLES),
        responses=answers.COMPLETIONS,
    )
    async def completions(request: Request) -> Response:
        """Continue a text."""
        return await _answer(request, answering, CompletionRequest, Completion)

    @app.post(
        "/v1/chat/completions",
        tags=TAGS,
        openapi_extra=json_body(ChatRequest, CHAT_EXAMPLES),
        responses=answers.CHATS,
    )
    async def chat(request: Request) -> Response:
        """Answer a conversation, put to the model by its own chat template."""
        return await _answer(request, answering, ChatRequest, Chat)

    @app.get("/v1/models", tags=TAGS)
    async def models() -> dict:
        """The one model that answers."""
        return {"object": "list", "data": [_about(answering.model, created)]}

    @app.get("/v1/models/{name:path}", tags=TAGS)
    async def model(name: str) -> dict:
        """The same, by its name."""
        _require(answering.model, name)
        return _about(answering.model, created)


async def _answer(request: Request, answering: Answering, kind: type[Wanted], form: type[Completion]) -> Response:
    model = answering.model
    with _bad_requests():
        body, answer = await answering.prepare(request, kind, partial(_read, model))
    shown = form(answer, body.model, context(request.scope).request_id, body.counted)
    if body.stream:
        return await answering.stream(request, answer, shown)
    await answering.whole(request, answer)
    return JSONResponse(shown.whole())


def _read(model: "LanguageModel", body: Wanted) -> Generation:
    _require(model, body.model)
    if isinstance(body, ChatRequest):
        tokens = model.tokenize_chat([message.turn for message in body.messages])
    else:
        tokens = model.tokenize(body.prompt)
    return model.read(tokens, body.most, body.sampling)


@contextmanager
def _bad_requests() -> Iterator[None]:
    """Give mistakes the status that OpenAI gives them."""
    try:
        yield
    except PromptError as error:
        raise OpenAIProblem(400, "context_length_exceeded", str(error), "prompt") from None
    except ChatError as error:
        raise OpenAIProblem(400, "invalid_messages", str(error), "messages") from None
    except Problem as problem:
        problem.status = 400 if problem.status == 422 else problem.status
        raise


def _require(model: "LanguageModel", name: str) -> None:
    if name != (there := model.identity.name):
        detail = f"There is no model {name[:100]!r} here; the one that answers is {there!r}."
        raise OpenAIProblem(404, "model_not_found", detail, "model")


def _about(model: "LanguageModel", created: int) -> dict:
    about = {"id": model.identity.name, "object": "model", "created": created, "owned_by": "inference-service"}
    return about | {"max_model_len": model.budget.total}
