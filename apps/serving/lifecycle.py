"""The state of the process: starting -> ready -> draining, and the model once it is loaded."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from apps.serving.identity import Model
from apps.serving.problems import Problem


class State(StrEnum):
    """A process starts as STARTING and never goes back to an earlier state."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Lifecycle:
    """`failure_of` returns, in one sentence, why a loaded model cannot answer any more, or None."""

    def __init__(self, failure_of: Callable[[Model], str | None]) -> None:
        self.state = State.STARTING
        self.loaded: Model | None = None
        self._failure_of = failure_of
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._started

    @property
    def model(self) -> Model:
        """The loaded model. Raises a 503 Problem before it is loaded and after it has failed."""
        if self.loaded is None:
            raise Problem(503, "The model is still being loaded. Try again soon.", headers={"Retry-After": "1"})
        if self.failure:
            raise Problem(503, self.failure, headers={"Retry-After": "1"})
        return self.loaded

    @property
    def failure(self) -> str | None:
        """Why the loaded model cannot answer any more; only a restart of the process helps."""
        return self._failure_of(self.loaded) if self.loaded else None

    def ready(self, model: Model) -> None:
        """Become ready with `model`, which is loaded, verified and warm; a draining process stays draining."""
        self.loaded = model
        if self.state is State.STARTING:
            self.state = State.READY

    def drain(self) -> None:
        """Stop being ready; requests are still served."""
        self.state = State.DRAINING

    def health(self) -> dict[str, Any]:
        """Return the JSON object of /healthz."""
        model: dict[str, Any] = dict.fromkeys(("name", "version", "sha256", "engine"))
        if self.loaded:
            model = self.loaded.identity.summary | self.loaded.identity.facts
        failure = self.failure
        health = {
            "status": "failed" if failure else self.state.value,
            "model": model,
            "model_version": model["version"],
            "engine": model["engine"],
            "uptime_seconds": round(self.uptime_seconds, 3),
        }
        return health | ({"detail": failure} if failure else {})
