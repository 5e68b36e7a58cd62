"""A service in a pod's control group under an attack: what it holds, how soon it says that it lives, how it ends."""

import http.client
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from apps.serving.tests.attacks import Attack, attacks_of
from apps.serving.tests.control_group import ControlGroup, Watch, control_group
from apps.serving.tests.pod import Pod
from apps.serving.tests.processes import ROOT, Process, resident_bytes, running, until

INTERVAL = 0.05  # seconds between two looks at /livez
PATIENCE = 5  # seconds for /livez, as the chart's probe has them
HONEST_WITHIN = 15  # seconds
CALM, CALM_WITHIN = 0.1, 20  # seconds that /livez takes when nobody attacks; until it does so again
PRIORITY = -10  # nice


@dataclass
class Outcome:
    """What an attack did."""

    peak: int = 0  # bytes resident
    livez: float = 0  # seconds, the worst
    killed: bool = False  # or ended
    honest: list[tuple[int | str, float]] = field(default_factory=list)  # status or error, and seconds
    tally: dict[str, float] = field(default_factory=dict)  # what the attacker sent, and what came back
    end: float | None = None  # seconds from SIGTERM; None: not within the grace


class Besieged:
    """`python -m apps.APP` with a small model in a pod's control group; less memory than a pod's by what the model of
    production would take more."""

    def __init__(self, app: str, pod: Pod, process: Process, group: ControlGroup | Watch) -> None:
        self.attacks = attacks_of(app)
        self.app, self.pod, self.process, self.group = app, pod, process, group

    def ready(self) -> None:
        """Wait for it."""
        self.process.expect("ready", self.attacks.STARTS_WITHIN)
        self.port = self.process.port  # once: it is looked up in a log that grows long
        self.forget()
        self.group.limit_memory(self.resident() + self.pod.memory - self.attacks.PEAK)

    @property
    def alive(self) -> bool:
        """Neither ended nor killed."""
        return self.process.popen.poll() is None

    def resident(self) -> int:
        """The most that its processes have had in memory since the last `forget`, in bytes."""
        total = 0
        for pid in self.group.pids:
            with suppress(OSError, KeyError):  # it ends at this moment
                total += resident_bytes(pid, peak=True)
        return total

    def forget(self) -> None:
        """Let the peak count anew."""
        for pid in self.group.pids:
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def under(self, attack: Attack, clients: int, seconds: float, end: bool = False) -> Outcome:
        """Attack for `seconds`, and until an honest client has his answer; then SIGTERM in the midst, if `end`."""
        outcome = Outcome()
        until(self._is_calm, CALM_WITHIN)  # what was before is over
        self.forget()
        with (
            _attacking(self, attack, clients, outcome.tally),
            _honest(self, outcome.honest) as answered,
            _in_front(),
        ):
            begun = time.monotonic()
            while self.alive and (lasted := time.monotonic() - begun) < seconds + HONEST_WITHIN:
                answer, waited = self.livez()
                outcome.livez = max(outcome.livez, waited if answer or not self.alive else math.inf)
                outcome.peak = max(outcome.peak, self.resident())
                if lasted > seconds and answered.is_set():
                    break
            outcome.killed = not self.alive
            if end and self.alive:
                outcome.end = self.end()
        outcome.killed |= bool(self.group.kills)
        return outcome

    def _is_calm(self) -> bool:
        answered, waited = self.livez()
        return answered and waited < CALM and self.ask()[0] == 200

    def livez(self) -> tuple[bool, float]:
        """Whether /livez answers 200, and after how many seconds, on a new connection, as the kubelet asks.

        Not before INTERVAL is over.
        """
        begun, answer = time.monotonic(), b""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: kubelet\r\nConnection: close\r\n\r\n")
            answer = connection.recv(4096)
        lasted = time.monotonic() - begun
        time.sleep(max(0, INTERVAL - lasted))
        return answer.startswith(b"HTTP/1.1 200"), lasted

    def ask(self) -> tuple[int | str, float]:
        """Status and seconds of an honest request; 0 for a 503 that does not say when to try again."""
        begun, (path, body) = time.monotonic(), self.attacks.HONEST
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.pod.request_timeout + 5)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            status = answer.status if answer.status != 503 or answer.headers["Retry-After"] else 0
        except (OSError, http.client.HTTPException) as error:
            status = type(error).__name__
        finally:
            connection.close()
        return status, time.monotonic() - begun

    def end(self) -> float | None:
        """Send SIGTERM; return the seconds until the end, None where it does not come within the grace."""
        begun = time.monotonic()
        self.process.signal()
        with suppress(subprocess.TimeoutExpired):
            self.process.popen.wait(self.pod.grace)
            return time.monotonic() - begun


@contextmanager
def besieged(app: str, pod: Pod, model: dict[str, object]) -> Iterator[Besieged]:
    """Start a service of `app`, ready; `model` is the part of its environment that its module of attacks makes."""
    environment = model | pod.environment
    with control_group(pod.memory, pod.cpus) as group, running(f"apps.{app}", ready=False, **environment) as process:
        group.add(process.popen.pid)
        service = Besieged(app, pod, process, group)
        service.ready()
        yield service


@contextmanager
def _attacking(service: Besieged, attack: Attack, clients: int, tally: dict[str, float]) -> Iterator[None]:
    """Attack from a process of its own, so that what it computes delays no measurement."""
    words = [service.app, attack.name, "--clients", str(clients), "--url", f"http://127.0.0.1:{service.port}"]
    command = [sys.executable, "-m", "apps.serving.tests.attacks", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            assert attacker.stdout.readline() == "begun\n"
            yield
        finally:
            attacker.terminate()
            tally.update(json.loads(attacker.stdout.read()))


@contextmanager
def _in_front() -> Iterator[None]:
    """Let this thread, which measures, wait for no attacker's CPU, where that is allowed."""
    before = os.getpriority(os.PRIO_PROCESS, 0)  # of a thread, on Linux
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


@contextmanager
def _honest(service: Besieged, answers: list) -> Iterator[threading.Event]:
    """Ask honestly, again and again, as one client; the event says that he was answered."""
    ended, answered = threading.Event(), threading.Event()

    def ask() -> None:
        while not ended.is_set() and service.alive:
            answer = service.ask()
            if not ended.is_set():
                answers.append(answer)
                answered.set()
            ended.wait(INTERVAL)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answered
    finally:
        ended.set()
        thread.join()
