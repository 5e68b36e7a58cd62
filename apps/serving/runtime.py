"""The running service in one object: settings, lifecycle, admission, metrics, and how work is computed."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import Request

from apps.serving.admission import Admission
from apps.serving.byte_budget import ByteBudget
from apps.serving.context import context
from apps.serving.http.body import BRIEF_BYTES
from apps.serving.lifecycle import Lifecycle
from apps.serving.machine.burn import Burner
from apps.serving.metrics import Metrics
from apps.serving.problems import ClientGone, Problem
from apps.serving.service import Service
from apps.serving.settings import ServingSettings

T, P = TypeVar("T"), TypeVar("P")


def runtime_of(request: Request) -> "Runtime":
    """The runtime of the service that answers `request`."""
    return request.app.state.runtime


class Work:
    """One request's computation, as the thread that computes it sees it."""

    def __init__(self) -> None:
        self.cancelled = False  # the client hung up or the deadline passed: stop as soon as you can
        self.started = False


class Runtime:
    """What a service's routes and the core share; made once a process, never global."""

    def __init__(self, service: Service, settings: ServingSettings) -> None:
        self.service, self.settings = service, settings
        self.lifecycle = Lifecycle(service.failure)
        self.admission = Admission(settings.max_in_flight, settings.max_queue, settings.capacity)
        self.preparation = Admission(1, settings.max_in_flight + settings.max_queue)
        self.bytes = ByteBudget(settings.body_budget)
        self.metrics = Metrics(self.admission, self.bytes)
        self._burn = Burner(settings.artificial_cpu_sec)
        self._threads = ThreadPoolExecutor(settings.max_in_flight, thread_name_prefix="compute")
        self._preparer = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._running: set[asyncio.Task] = set()

    @property
    def model(self) -> Any:
        """The loaded model; raises a 503 Problem while starting."""
        return self.lifecycle.model

    async def compute(
        self, request: Request, function: Callable[[Work], T], *, brief: bool = False, size: int = 1
    ) -> T:
        """Run `function(work)` in a worker thread when the request's turn has come; return its result.

        A `brief` function takes well under a millisecond: it is called at once, without a thread, unless CPU
        is to be burnt. `size` is its share of the settings' `capacity`.

        Raises Problem 503 (starting, or queue full), 504 (deadline passed; 503 where the service says so and the
        turn never came) and ClientGone. In the last two `work.cancelled` becomes true; the place is free again once
        `function` returns.
        """
        self.lifecycle.model  # noqa: B018  (503 while starting)
        work = Work()
        if brief and not self._burn.seconds:
            self.admission.check()
            begun = time.monotonic()
            try:
                return function(work)
            finally:
                self.metrics.observe_compute(0, time.monotonic() - begun)
        return await self._awaited(request, work, self._admitted(work, function, size))

    async def compute_body(
        self,
        request: Request,
        body: bytearray,
        read: Callable[[], P],
        function: Callable[[P], T],
        brief: Callable[[P], bool],
    ) -> T:
        """Run `function` on what `read` makes of `body`; raises as `compute` and `read` do.

        A small body is read at once, so that its mistakes wait for nobody. A large one is read where it computes: what
        it holds takes many times its bytes, and only those who compute have that.
        """
        if len(body) > BRIEF_BYTES:
            return await self.compute(request, lambda work: function(read()))
        content = read()
        return await self.compute(request, lambda work: function(content), brief=brief(content))

    async def prepare(self, request: Request, function: Callable[[], T]) -> T:
        """Run `function`, which reads what a body says, in a thread, for one request at a time; return its result.

        For what must be known before the request has a size; what it makes of a body takes many times the body's bytes.
        Raises as `compute` does.
        """
        work = Work()
        return await self._awaited(request, work, self._prepared(work, function))

    async def _awaited(self, request: Request, work: Work, result: Coroutine[Any, Any, T]) -> T:
        """Wait for `result` as long as the client does and its deadline allows."""
        task = asyncio.create_task(result)
        self._running.add(task)
        task.add_done_callback(self._finished)
        gone = asyncio.create_task(_hung_up(request))
        remaining = context(request.scope).remaining(self.settings.request_timeout_seconds)
        try:
            await asyncio.wait({task, gone}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise ClientGone if gone.done() else self._late(work)
        finally:
            gone.cancel()
            work.cancelled = not task.done()
            if not work.started:
                task.cancel()

    async def _prepared(self, work: Work, function: Callable[[], T]) -> T:
        async with self.preparation.place():
            work.started = True
            return await asyncio.get_running_loop().run_in_executor(self._preparer, function)

    async def _admitted(self, work: Work, function: Callable[[Work], T], size: int) -> T:
        begun = time.monotonic()
        async with self.admission.place(size):
            work.started, placed = True, time.monotonic()
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, self._run, work, function)
            finally:
                self.metrics.observe_compute(placed - begun, time.monotonic() - placed)

    def _run(self, work: Work, function: Callable[[Work], T]) -> T:
        self._burn(lambda: work.cancelled)
        return function(work)

    def _finished(self, task: asyncio.Task) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits for it any more

    def _late(self, work: Work) -> Problem:
        seconds = self.settings.request_timeout_seconds
        if not work.started and self.service.unplaced_status == 503:
            detail = f"No place to compute was free within {seconds:g} s (REQUEST_TIMEOUT_SECONDS). Try again later."
            return Problem(503, detail, headers=self.admission.retry_after)
        return Problem(504, f"No answer within {seconds:g} s (REQUEST_TIMEOUT_SECONDS). Try again later.")


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
