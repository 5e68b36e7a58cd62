"""Runs named steps side by side, each as soon as the steps before it are done. Shows which steps run, for how long, and
the remedy when one fails."""

import contextvars
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from ci.cache import CACHE
from ci.run import LOG, Failed, stop

TAIL = 15  # lines of a failed step's log that are shown
LOGS = CACHE / "logs"


@dataclass
class Step:
    """A piece of work with a name.

    `run` does the work. `after` names the steps that must succeed before it starts. `done` returns True if the result
    exists already; then `run` is not called. A `low_priority` step runs at niceness 10. `log` is the file for its
    output (default: by name in LOGS); its last `tail` lines are shown when it fails. `run_steps` sets `succeeded`.
    """

    name: str
    run: Callable[[], object]
    after: tuple[str, ...] = ()
    done: Callable[[], bool] = lambda: False
    low_priority: bool = False
    log: Path | None = None
    tail: int = TAIL
    succeeded: bool = False

    def log_path(self) -> Path:
        return self.log or LOGS / f"{self.name.replace(' ', '-')}.log"


class Display:
    """Prints a line for each finished step; on a terminal also a last line with the steps that run."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.running: dict[str, float] = {}
        self.lock = threading.Lock()
        self.live = sys.stdout.isatty()

    def elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return f"{minutes}:{seconds:02}"

    def line(self, mark: str, name: str, note: str = "") -> None:
        with self.lock:
            self._clear()
            print(f"{self.elapsed():>6}  {mark:7} {name:28} {note}".rstrip(), flush=True)

    def tick(self) -> None:
        if not self.live:
            return
        with self.lock:
            self._clear()
            now = time.monotonic()
            running = ", ".join(f"{name} {now - since:.0f} s" for name, since in list(self.running.items()))
            line = f"{self.elapsed():>6}  running {running}"
            width = shutil.get_terminal_size().columns - 1  # a wrapped line could not be erased
            print(line if len(line) <= width else line[: width - 1] + "…", end="", flush=True)

    def _clear(self) -> None:
        if self.live:
            print("\r\x1b[K", end="")


def run_steps(steps: Sequence[Step]) -> bool:
    """Runs all steps; True if every one succeeded. After a failure no new step starts; running steps finish.

    Raises ValueError, before any step starts, if a step comes after one that is not among `steps`, or after itself.
    """
    graph = _graph(steps)
    by_name, display = {step.name: step for step in steps}, Display()
    failures: list[Step] = []
    running: dict[Future[None], Step] = {}
    # On Linux niceness belongs to the thread, and to the processes that it starts.
    low_priority = ThreadPoolExecutor(len(steps), initializer=os.nice, initargs=(10,))
    with ThreadPoolExecutor(len(steps)) as normal, low_priority, _interruptible(display):
        while running or (graph.is_active() and not failures):
            for name in () if failures else graph.get_ready():
                step = by_name[name]
                pool = low_priority if step.low_priority else normal
                running[pool.submit(contextvars.copy_context().run, _run, step, display)] = step
            finished, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for future in finished:
                step = running.pop(future)
                if error := future.exception():
                    failures.append(step)
                    display.line("FAILED", step.name)
                    _explain(step, error)
                else:
                    step.succeeded = True
                    graph.done(step.name)
            display.tick()
    failed = f"failed: {', '.join(step.name for step in failures)}" if failures else ""
    display.line(
        "stopped" if failures else "done", f"{sum(step.succeeded for step in steps)} of {len(steps)} steps", failed
    )
    return not failures


def _graph(steps: Sequence[Step]) -> TopologicalSorter[str]:
    """The order of the steps. Raises ValueError if there is none."""
    names = {step.name for step in steps}
    if unknown := [f"{s.name!r} (after {name!r})" for s in steps for name in s.after if name not in names]:
        raise ValueError(f"These steps come after a step that does not exist: {', '.join(unknown)}")
    graph = TopologicalSorter({step.name: step.after for step in steps})
    graph.prepare()
    return graph


@contextmanager
def _interruptible(display: Display) -> Iterator[None]:
    """Ends the steps' programs on Ctrl-C: otherwise the pools would wait for them."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"\nstopping: {', '.join(display.running)}", file=sys.stderr)
        stop()
        raise


def _run(step: Step, display: Display) -> None:
    since = time.monotonic()
    step.log_path().parent.mkdir(parents=True, exist_ok=True)
    with step.log_path().open("w") as log:
        LOG.set(log)
        if step.done():
            display.line("ready", step.name)
            return
        if not display.live:
            display.line("start", step.name)
        display.running[step.name] = since
        try:
            step.run()
        finally:
            del display.running[step.name]
    display.line("ok", step.name, f"{time.monotonic() - since:.1f} s")


def _explain(step: Step, error: BaseException) -> None:
    log = step.log_path()
    print(f"\n{step.name} failed: {error}", file=sys.stderr)
    tail = log.read_text(errors="replace").splitlines()[-step.tail :]
    print(*(f"  | {line}" for line in tail), sep="\n", file=sys.stderr)
    print(f"The whole log: {log}", file=sys.stderr)
    if not isinstance(error, Failed):
        print("This is a defect of ci/: please report it with the log.", file=sys.stderr)
    remedy = (
        getattr(error, "remedy", "")
        or "Correct the cause that the log shows, then run the same command again: it continues where it stopped."
    )
    print(remedy, file=sys.stderr)
