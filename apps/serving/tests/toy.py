"""A minimal service: the subject of the core's tests. Also a program: `python -m apps.serving.tests.toy`."""

import sys
import time
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from apps.serving.connections import request_head, unread
from apps.serving.http.body import json_body, read_json
from apps.serving.identity import Identity, LoadError
from apps.serving.problems import RESPONSES
from apps.serving.runtime import Work, runtime_of
from apps.serving.server import main
from apps.serving.service import Service
from apps.serving.settings import ServingSettings

LARGE = 12_000_000  # bytes of a response: more than a socket's buffers hold


class ToySettings(ServingSettings):
    """How the toy loads, and the timeouts of its connections."""

    foreign_variables: ClassVar[frozenset[str]] = frozenset({"MODEL_NAME", "MODEL_REVISION"})

    load_seconds: float = 0
    load_error: str = ""
    stubborn: bool = False  # continues to compute after it is cancelled
    header_seconds: float = request_head.HEADER_SECONDS
    stall_seconds: float = unread.STALL_SECONDS


class Sleep(BaseModel):
    """How long to compute."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seconds: float = Field(ge=0, le=60)


class Model:
    """Has an identity and nothing else."""

    identity = Identity("toy", "v1", "f" * 64, "toy")


router = APIRouter(responses=RESPONSES)


@router.post("/sleep", openapi_extra=json_body(Sleep, {}))
async def sleep(request: Request) -> dict[str, Any]:
    """Compute for as long as the body says."""
    runtime = runtime_of(request)
    body = await read_json(request, Sleep)
    slept = await runtime.compute(request, lambda work: toy(request).sleep(work, body.seconds))
    return {"slept": slept, "model_version": runtime.model.identity.version}


@router.post("/fail")
async def fail() -> dict[str, Any]:
    """Raise an unexpected error."""
    raise RuntimeError("the secret /path/of/a/defect")


@router.get("/cancelled")
async def cancelled(request: Request) -> dict[str, Any]:
    """Return how many computations were cancelled, and how many run and wait."""
    admission = runtime_of(request).admission
    counts = {"in_flight": admission.in_flight, "waiting": admission.waiting}
    return {"cancelled": toy(request).cancelled, **counts}


@router.get("/large")
async def large() -> Response:
    """Answer more than a socket's buffers hold."""
    return Response(bytes(LARGE))


@router.post("/stream")
async def stream() -> StreamingResponse:
    """Answer in two pieces."""
    return StreamingResponse(iter(["one ", "two"]))


class ToyService(Service):
    """Sleeps instead of predicting."""

    name: ClassVar[str] = "toy-service"
    title: ClassVar[str] = "Toy"
    Settings = ToySettings
    routers = (router,)

    def __init__(self) -> None:
        self.cancelled = 0
        self.stubborn = False
        self.broken: str | None = None

    def sleep(self, work: Work, seconds: float) -> float:
        """Take `seconds`, or less after `work` is cancelled."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if work.cancelled and not self.stubborn:
                self.cancelled += 1
                break
            time.sleep(0.005)
        return seconds

    def load(self, settings: ToySettings) -> Model:
        """Take a while, or fail; set the timeouts of connections that are opened later."""
        self.stubborn = settings.stubborn
        request_head.HEADER_SECONDS, unread.STALL_SECONDS = settings.header_seconds, settings.stall_seconds
        time.sleep(settings.load_seconds)
        if settings.load_error == "defect":
            raise RuntimeError("a defect")
        if settings.load_error:
            raise LoadError(settings.load_error)
        return Model()

    def failure(self, model: Model) -> str | None:
        """Return what the test has set."""
        return self.broken


def toy(request: Request) -> ToyService:
    """Return the service that answers `request`."""
    service = runtime_of(request).service
    assert isinstance(service, ToyService)
    return service


if __name__ == "__main__":
    sys.exit(main(ToyService()))
