"""Measures a service in a pod's control group during an attack: memory, latency of /livez, and its end."""

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

INTERVAL = 0.05  # seconds between two requests to /livez
LIVEZ_TIMEOUT = 5  # seconds, as in the chart's probe
HONEST_WITHIN = 15  # seconds for the response to an honest client
CALM_SECONDS = 0.1  # latency of /livez without an attack
CALM_WITHIN = 20  # seconds from an attack until /livez is that fast again, and no connection of the attackers is left
LISTEN, TIME_WAIT = "0A", "06"  # states in /proc/net/tcp: such a socket is no connection that the service still has
PRIORITY = -10  # niceness of the thread that measures


@dataclass
class Outcome:
    """The effect of an attack."""

    peak: int = 0  # bytes resident
    livez: float = 0  # seconds: the largest latency of /livez
    killed: bool = False  # or ended by itself
    honest: list[tuple[int | str, float]] = field(default_factory=list)  # status or error, and seconds, per request
    tally: dict[str, float] = field(default_factory=dict)  # what the attackers sent and received
    end: float | None = None  # seconds from SIGTERM to its end; None: not within the grace period


class Besieged:
    """`python -m apps.APP` with a small model in a pod's control group.

    The group's memory is the pod's, less the additional memory that the production model would need.
    """

    def __init__(self, app: str, pod: Pod, process: Process, group: ControlGroup | Watch) -> None:
        self.attacks = attacks_of(app)
        self.app, self.pod, self.process, self.group = app, pod, process, group

    def ready(self) -> None:
        """Wait until it is ready, then set the memory limit."""
        self.process.expect("ready", self.attacks.STARTS_WITHIN)
        self.port = self.process.port  # looked up once, because the log grows long
        self.forget()
        self.group.limit_memory(self.resident() + self.pod.memory - self.attacks.PEAK)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.popen.poll() is None

    def resident(self) -> int:
        """Return the peak of its processes' memory since the last `forget`, in bytes."""
        total = 0
        for pid in self.group.pids:
            with suppress(OSError, KeyError):  # the process has just ended
                total += resident_bytes(pid, peak=True)
        return total

    def forget(self) -> None:
        """Reset the peak."""
        for pid in self.group.pids:
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def under(self, attack: Attack, clients: int, seconds: float, end: bool = False) -> Outcome:
        """Attack for `seconds` and until an honest client has a response; if `end`, then send SIGTERM meanwhile."""
        outcome = Outcome()
        until(self._is_calm, CALM_WITHIN)  # effects of an earlier attack are over
        self.forget()
        with (
            _attacking(self, attack, clients, outcome.tally),
            _honest(self, outcome.honest) as answered,
            _prioritised(),
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
        return answered and waited < CALM_SECONDS and not self._connections() and self.ask()[0] == 200

    def _connections(self) -> int:
        """Return how many connections it has. It learns late that a client has gone whose requests wait."""
        lines = [line for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
        states = [state for _, local, _, state, *_ in map(str.split, lines) if local.endswith(f":{self.port:04X}")]
        return sum(state not in (LISTEN, TIME_WAIT) for state in states)

    def livez(self) -> tuple[bool, float]:
        """Request /livez on a new connection, as the kubelet does; return whether it answered 200, and the seconds.

        Takes at least INTERVAL.
        """
        begun, answer = time.monotonic(), b""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), LIVEZ_TIMEOUT) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: kubelet\r\nConnection: close\r\n\r\n")
            answer = connection.recv(4096)
        lasted = time.monotonic() - begun
        time.sleep(max(0, INTERVAL - lasted))
        return answer.startswith(b"HTTP/1.1 200"), lasted

    def ask(self) -> tuple[int | str, float]:
        """Send an honest request; return its status (0 for a 503 without Retry-After) or error, and the seconds."""
        begun, (path, body) = time.monotonic(), self.attacks.HONEST
        status: int | str
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
        """Send SIGTERM; return the seconds until the process ended, None if it did not within the grace period."""
        begun = time.monotonic()
        self.process.signal()
        with suppress(subprocess.TimeoutExpired):
            self.process.popen.wait(self.pod.grace)
            return time.monotonic() - begun
        return None


@contextmanager
def besieged(app: str, pod: Pod, model: dict[str, object]) -> Iterator[Besieged]:
    """Start a service of `app` and wait until it is ready; `model` has the settings of its attacks' `settings`."""
    environment = model | pod.environment
    with control_group(pod.memory, pod.cpus) as group, running(f"apps.{app}", ready=False, **environment) as process:
        group.add(process.popen.pid)
        service = Besieged(app, pod, process, group)
        service.ready()
        yield service


@contextmanager
def _attacking(service: Besieged, attack: Attack, clients: int, tally: dict[str, float]) -> Iterator[None]:
    """Attack from a separate process, so that the attack does not delay the measurements."""
    words = [service.app, attack.name, "--clients", str(clients), "--url", f"http://127.0.0.1:{service.port}"]
    command = [sys.executable, "-m", "apps.serving.tests.attacks", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as attacker:
        assert attacker.stdout is not None
        try:
            assert attacker.stdout.readline() == "begun\n"
            yield
        finally:
            attacker.terminate()
            tally.update(json.loads(attacker.stdout.read()))


@contextmanager
def _prioritised() -> Iterator[None]:
    """Raise the priority of this thread, which measures, above the attacker's, where that is allowed."""
    before = os.getpriority(os.PRIO_PROCESS, 0)  # on Linux, of the thread
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


@contextmanager
def _honest(service: Besieged, answers: list) -> Iterator[threading.Event]:
    """Send honest requests one after another; the event is set after the first response."""
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
