"""Where a process stands between its start and its end: starting -> ready -> draining, in one object."""

import time
from enum import StrEnum

from apps.serving.problems import Problem
from apps.serving.service import Model


class State(StrEnum):
    """A process begins as starting, and never goes back."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Lifecycle:
    """The state, and the model once it is loaded."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.loaded: Model | None = None
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._started

    @property
    def model(self) -> Model:
        """The loaded model; it serves while ready and while draining. Raises a 503 Problem before that."""
        if self.loaded is None:
            raise Problem(503, "The model is still being loaded. Try again soon.", headers={"Retry-After": "1"})
        return self.loaded

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
        return {
            "status": self.state.value,
            "model": model,
            "model_version": model["version"],
            "engine": model["engine"],
            "uptime_seconds": round(self.uptime_seconds, 3),
        }
