"""Where a process stands between its start and its end: starting -> ready -> draining, in one object."""

import time
from collections.abc import Callable
from enum import StrEnum

from apps.serving.identity import Model
from apps.serving.problems import Problem


class State(StrEnum):
    """A process begins as starting, and never goes back."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Lifecycle:
    """The state, and the model once it is loaded.

    `failure_of` says in one sentence why a loaded model can answer nothing any more; None: it can.
    """

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
        """The loaded model, while ready and while draining. A 503 Problem is raised before, and after a failure."""
        if self.loaded is None:
            raise Problem(503, "The model is still being loaded. Try again soon.", headers={"Retry-After": "1"})
        if self.failure:
            raise Problem(503, self.failure, headers={"Retry-After": "1"})
        return self.loaded

    @property
    def failure(self) -> str | None:
        """Why the loaded model can answer nothing any more; a restart helps and nothing else."""
        return self._failure_of(self.loaded) if self.loaded else None

    def ready(self, model: Model) -> None:
        """The model is loaded, verified and warm."""
        self.loaded = model
        if self.state is State.STARTING:
            self.state = State.READY

    def drain(self) -> None:
        """Not ready from now on; what comes in is still served."""
        self.state = State.DRAINING

    def health(self) -> dict:
        """The answer of /healthz."""
        identity = self.loaded and self.loaded.identity
        model = dict.fromkeys(("name", "version", "sha256", "engine"))
        if identity:
            model = {key: getattr(identity, key) for key in model} | identity.facts
        failure = self.failure
        health = {
            "status": "failed" if failure else self.state.value,
            "model": model,
            "model_version": model["version"],
            "engine": model["engine"],
            "uptime_seconds": round(self.uptime_seconds, 3),
        }
        return health | ({"detail": failure} if failure else {})
