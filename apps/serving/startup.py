"""Loads the model while the process already answers probes."""

import asyncio
import logging
import threading
from concurrent.futures import Future

from apps.serving.identity import Model
from apps.serving.runtime import Runtime

LOG = logging.getLogger("serving")


async def load(runtime: Runtime) -> None:
    """Load and warm up the service's model in a thread, then become ready. Raises what the service's `load` raises."""
    LOG.info("loading", extra={"requested_model": runtime.settings.requested_model})
    outcome: Future[Model] = Future()
    service = runtime.service

    def run() -> None:
        try:
            model = service.load(runtime.settings)
            service.warm_up(model)
            outcome.set_result(model)
        except BaseException as error:
            outcome.set_exception(error)

    # A daemon thread: a process that is told to exit does not wait for a load that takes minutes.
    threading.Thread(target=run, name="load", daemon=True).start()
    model = await asyncio.wrap_future(outcome)
    runtime.metrics.model(model.identity)
    service.ready(model, runtime.metrics, runtime.admission)
    runtime.lifecycle.ready(model)
