"""Runs named steps side by side, each as soon as those before it are done, and shows what a person wants to know: what
is going on, for how long, and what to do when it fails."""

import contextvars
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci.cache import CACHE
from ci.run import LOG, Failed, stop

TAIL = 15  # lines of a failed step's log that are shown
LOGS = CACHE / "logs"


@dataclass
class Step:
    """`run` does the work; `done` says that its result is already there; `after` names steps that must end before. A
    `patient` step leaves the CPU to those that others wait for."""

    name: str
    run: Callable[[], None]
    after: tuple[str, ...] = ()
    done: Callable[[], bool] = lambda: False
    patient: bool = False
    log: Path | None = None
    tail: int = TAIL

    def log_path(self) -> Path:
        return self.log or LOGS / f"{self.name.replace(' ', '-')}.log"


class Display:
    """One line per finished step; on a terminal, a last line that tells what runs."""

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
            going = ", ".join(f"{name} {now - since:.0f} s" for name, since in list(self.running.items()))
            line = f"{self.elapsed():>6}  running {going}"
            width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be taken back
            print(line if len(line) <= width else line[: width - 1] + "…", end="", flush=True)

    def _clear(self) -> None:
        if self.live:
            print("\r\x1b[K", end="")


def run_steps(steps: list[Step]) -> bool:
    """Runs all steps; True if every one is done. After a failure no new step starts, those under way end.

    Raises ValueError, before the first starts, where some never could.
    """
    _check(steps)
    display, waiting, done = Display(), list(steps), set()
    failures: list[Step] = []
    under_way: dict[Future, Step] = {}
    # On Linux niceness belongs to the thread, and to the processes that it starts.
    patient = ThreadPoolExecutor(len(steps), initializer=os.nice, initargs=(10,))
    with ThreadPoolExecutor(len(steps)) as prompt, patient, _interruptible(display):
        while under_way or (waiting and not failures):
            for step in [s for s in waiting if not failures and done.issuperset(s.after)]:
                waiting.remove(step)
                pool = patient if step.patient else prompt
                under_way[pool.submit(contextvars.copy_context().run, _run, step, display)] = step
            ended, _ = wait(under_way, timeout=1, return_when=FIRST_COMPLETED)
            for future in ended:
                step = under_way.pop(future)
                if error := future.exception():
                    failures.append(step)
                    display.line("FAILED", step.name)
                    _explain(step, error)
                else:
                    done.add(step.name)
            display.tick()
    failed = f"failed: {', '.join(step.name for step in failures)}" if failures else ""
    display.line("stopped" if failures else "done", f"{len(done)} of {len(steps)} steps", failed)
    return not failures


def _check(steps: list[Step]) -> None:
    """Raises ValueError with the steps that come after none that there is, or after each other."""
    left, done = list(steps), set()
    while ready := [step for step in left if done.issuperset(step.after)]:
        left = [step for step in left if step not in ready]
        done.update(step.name for step in ready)
    if left:
        waits = (f"{s.name!r} (after {', '.join(repr(name) for name in s.after if name not in done)})" for s in left)
        rule = "These steps can never start, for what they come after is no step or waits for them"
        raise ValueError(f"{rule}: {', '.join(waits)}")


@contextmanager
def _interruptible(display: Display) -> Iterator[None]:
    """Ends what the steps have started, for the pools wait for them."""
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
        or "Mend what the log says, then run the same command again: it goes on where it stopped."
    )
    print(remedy, file=sys.stderr)
