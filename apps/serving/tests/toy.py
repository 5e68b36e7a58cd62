"""A service with nothing but what the core gives: the tests' subject. Also a program: `python -m …toy`."""

import sys
import time
from typing import ClassVar

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from apps.serving import protocol, unread
from apps.serving.body import json_body, read_json
from apps.serving.identity import Identity, LoadError
from apps.serving.runtime import Runtime, Work
from apps.serving.server import main
from apps.serving.service import Service
from apps.serving.settings import ServingSettings

LARGE = 12_000_000  # bytes of an answer: more than a socket's buffers hold


class ToySettings(ServingSettings):
    """How the toy loads, and how patient its protocol is."""

    load_seconds: float = 0
    load_error: str = ""
    stubborn: bool = False  # computes on when nobody waits
    header_seconds: float = protocol.HEADER_SECONDS
    stall_seconds: float = unread.STALL_SECONDS


class Sleep(BaseModel):
    """How long to compute."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seconds: float = Field(ge=0, le=60)


class Model:
    """Has an identity and nothing else."""

    identity = Identity("toy", "v1", "f" * 64, "toy")


class ToyService(Service):
    """POST /sleep computes, /fail has a defect, /cancelled counts; /large and /stream answer more than a line."""

    name: ClassVar[str] = "toy-service"
    title: ClassVar[str] = "Toy"
    Settings = ToySettings

    def __init__(self) -> None:
        self.cancelled = 0
        self.stubborn = False

    def sleep(self, work: Work, seconds: float) -> float:
        """Take `seconds`, or less when nobody waits any more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if work.cancelled and not self.stubborn:
                self.cancelled += 1
                break
            time.sleep(0.005)
        return seconds

    def load(self, settings: ToySettings) -> Model:
        """Take a while, or fail."""
        time.sleep(settings.load_seconds)
        if settings.load_error == "defect":
            raise RuntimeError("a defect")
        if settings.load_error:
            raise LoadError(settings.load_error)
        return Model()

    def add_routes(self, app: FastAPI, runtime: Runtime) -> None:
        """Register them."""
        self.stubborn = runtime.settings.stubborn

        @app.post("/sleep", openapi_extra=json_body(Sleep, {}))
        async def sleep(request: Request) -> dict:
            wanted = await read_json(request, Sleep)
            slept = await runtime.compute(request, lambda work: self.sleep(work, wanted.seconds))
            return {"slept": slept, "model_version": runtime.model.identity.version}

        @app.post("/fail")
        async def fail() -> dict:
            raise RuntimeError("the secret /path/of/a/defect")

        @app.get("/cancelled")
        async def cancelled() -> dict:
            admission = runtime.admission
            counts = {"in_flight": admission.in_flight, "waiting": admission.waiting}
            return {"cancelled": self.cancelled, **counts}

        @app.get("/large")
        async def large() -> Response:
            return Response(bytes(LARGE))

        @app.post("/stream")
        async def stream() -> StreamingResponse:
            return StreamingResponse(iter(["one ", "two"]))

        protocol.HEADER_SECONDS = runtime.settings.header_seconds
        unread.STALL_SECONDS = runtime.settings.stall_seconds


if __name__ == "__main__":
    sys.exit(main(ToyService()))
