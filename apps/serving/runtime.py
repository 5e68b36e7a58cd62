"""The running service in one object: settings, lifecycle, admission, metrics, and how requests compute."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import Request

from apps.serving.admission import Admission
from apps.serving.byte_budget import ByteBudget
from apps.serving.context import context
from apps.serving.lifecycle import Lifecycle
from apps.serving.machine.burn import Burner
from apps.serving.metrics import Metrics
from apps.serving.problems import ClientGone, Problem
from apps.serving.service import Service
from apps.serving.settings import ServingSettings

SMALL_BODY_BYTES = 32_768  # parsed within a few milliseconds whatever it contains, so the event loop may do it
T = TypeVar("T")
Content = TypeVar("Content")


def runtime_of(request: Request) -> "Runtime":
    """Return the runtime of the service that answers `request`."""
    runtime: Runtime = request.app.state.runtime
    return runtime


class Work:
    """One request's computation, for the thread that runs it."""

    def __init__(self) -> None:
        self.started = False
        self.cancelled_at: float | None = None  # seconds of the monotonic clock
        self.on_cancel: Callable[[], None] = lambda: None  # the event loop calls it; it must be fast

    @property
    def cancelled(self) -> bool:
        """Whether the client has closed or the deadline has passed: stop as soon as possible."""
        return self.cancelled_at is not None

    def cancel(self) -> None:
        """Tell the thread to stop."""
        self.cancelled_at = time.monotonic()
        self.on_cancel()

    def check(self) -> None:
        """Raise ClientGone once the work is cancelled: nobody waits for it."""
        if self.cancelled:
            raise ClientGone


class Runtime:
    """What the routes and the core of a service share; one per process."""

    def __init__(self, service: Service, settings: ServingSettings) -> None:
        self.service, self.settings = service, settings
        self.lifecycle = Lifecycle(service.failure)
        self.admission = Admission(settings.max_in_flight, settings.max_queue, settings.capacity)
        self.preparation = Admission(1, settings.max_in_flight + settings.max_queue)
        self.bytes = ByteBudget(settings.body_budget)
        self.metrics = Metrics(self.admission, self.bytes)
        self._burn = Burner(settings.artificial_cpu_sec)
        self._compute_threads = ThreadPoolExecutor(settings.max_in_flight, thread_name_prefix="compute")
        self._prepare_thread = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def model(self) -> Any:
        """The loaded model. Raises a 503 Problem before it is loaded and after it has failed."""
        return self.lifecycle.model

    async def compute(
        self,
        request: Request,
        function: Callable[[Work], T],
        *,
        brief: bool = False,
        size: int = 1,
        queued: bool = False,
    ) -> T:
        """Run `function(work)` in a worker thread once the request is admitted; return its result.

        A `brief` function takes well under a millisecond: it runs at once and in the event loop, unless CPU time is to
        be burnt. `size` is its share of the settings' `capacity`. Work of a request that computes already is `queued`
        however many wait.

        Raises Problem 503 (model not loaded, or queue full), Problem 504 (deadline passed; 503 if the request was not
        admitted and the service's `unplaced_status` says so) and ClientGone. When the deadline passes or the client
        closes, `work.cancelled` becomes true; the place is free again when `function` returns.
        """
        self.lifecycle.model  # noqa: B018  (raises the 503)
        work = Work()
        if brief and not self._burn.seconds:
            self.admission.check()
            start = time.monotonic()
            try:
                return function(work)
            finally:
                self.metrics.observe_compute(0, time.monotonic() - start)
        return await self._wait(request, work, self._admitted(work, function, size, queued))

    async def compute_body(
        self,
        request: Request,
        body: bytearray,
        read: Callable[[], Content],
        function: Callable[[Content, Work], T],
        brief: Callable[[Content], bool],
    ) -> T:
        """Parse `body` by `read` and run `function` on the content. Raises what `compute`, `read` and `function` raise.

        A small body is parsed at once, so that its mistakes are reported without queueing. A large body is parsed
        after admission: its content takes many times its bytes, and admission bounds how many contents exist.
        """
        if len(body) > SMALL_BODY_BYTES:
            return await self.compute(request, lambda work: function(read(), work))
        content = read()
        return await self.compute(request, lambda work: function(content, work), brief=brief(content))

    async def prepare(self, request: Request, function: Callable[[], T]) -> T:
        """Run `function` in a thread that prepares one request at a time; return its result. Raises as `compute` does.

        For services that must parse a body to know the request's size. One at a time, because the content takes many
        times the body's bytes.
        """
        work = Work()
        return await self._wait(request, work, self._prepared(work, function))

    async def _wait(self, request: Request, work: Work, result: Coroutine[Any, Any, T]) -> T:
        """Wait for `result` until the request's deadline, or until the client closes."""
        task = asyncio.create_task(result)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        client_closed = asyncio.create_task(_wait_for_disconnect(request))
        remaining = context(request.scope).remaining(self.settings.request_timeout_seconds)
        try:
            await asyncio.wait({task, client_closed}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise ClientGone if client_closed.done() else self._timeout(work)
        finally:
            client_closed.cancel()
            if not task.done():
                work.cancel()
            if not work.started:
                task.cancel()

    async def _prepared(self, work: Work, function: Callable[[], T]) -> T:
        async with self.preparation.place():
            work.started = True
            return await asyncio.get_running_loop().run_in_executor(self._prepare_thread, function)

    async def _admitted(self, work: Work, function: Callable[[Work], T], size: int, queued: bool) -> T:
        start = time.monotonic()
        async with self.admission.place(size, queued=queued):
            work.started, admitted = True, time.monotonic()
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._compute_threads, self._run, work, function)
            finally:
                self.metrics.observe_compute(admitted - start, time.monotonic() - admitted)

    def _run(self, work: Work, function: Callable[[Work], T]) -> T:
        self._burn(lambda: work.cancelled)
        return function(work)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # mark it as retrieved, also when the request no longer waits

    def _timeout(self, work: Work) -> Problem:
        seconds = self.settings.request_timeout_seconds
        if not work.started and self.service.unplaced_status == 503:
            detail = f"No place to compute was free within {seconds:g} s (REQUEST_TIMEOUT_SECONDS). Try again later."
            return Problem(503, detail, headers=self.admission.retry_after)
        return Problem(504, f"No answer within {seconds:g} s (REQUEST_TIMEOUT_SECONDS). Try again later.")


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
