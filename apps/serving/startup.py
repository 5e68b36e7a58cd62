"""Loads the model while the process already answers that it is starting."""

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

from apps.serving.runtime import Runtime


async def load(runtime: Runtime) -> None:
    """Load and warm up the service's model in a thread, then be ready; raises what the service's `load` raises."""
    outcome: Future[Any] = Future()
    service = runtime.service

    def run() -> None:
        try:
            model = service.load(runtime.settings)
            service.warm_up(model)
            outcome.set_result(model)
        except BaseException as error:
            outcome.set_exception(error)

    # A daemon thread: a process that is told to end does not wait for a load of minutes.
    threading.Thread(target=run, name="load", daemon=True).start()
    model = await asyncio.wrap_future(outcome)
    runtime.metrics.model(model.identity)
    service.ready(model, runtime.metrics, runtime.admission)
    runtime.lifecycle.ready(model)
