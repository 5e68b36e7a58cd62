"""Refuses a plan that cannot be carried out on this machine, all mistakes at once; raises the limit of open files."""

import resource
import ssl
from dataclasses import replace
from pathlib import Path

from loadgen.client import tls
from loadgen.client.endpoint import endpoint, public_url, requests
from loadgen.engine.plan import Plan

OTHER_FILES = 64  # of a worker: its own, the event loop's, and connections that are being closed
PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Refused(Exception):
    """The plan cannot be carried out; the text gives value, rule and remedy, a line each mistake."""


def check(plan: Plan) -> None:
    """Raise Refused with everything that keeps the plan from being carried out here."""
    mistakes = _exceeded(plan)
    try:
        to = endpoint(plan.url, plan.target.path)
    except ValueError as error:
        raise Refused("\n".join([*mistakes, f"{public_url(plan.url)}: {error}."])) from None
    for header in plan.headers:
        try:
            requests(replace(plan.target, samples=()), to, [header])
        except ValueError as error:
            mistakes.append(f"{error}.")
    if to.secure and plan.ca is not None:
        try:
            tls.context(plan.ca, plan.insecure)
        except OSError as error:
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            mistakes.append(f"{plan.ca} cannot be used as certificate authority: {reason}.")
    if mistakes:
        raise Refused("\n".join(mistakes))


def most_connections(workers: int, most: int) -> int:
    """Return how many connections fit on this machine, at most `most`."""
    hard, ports = _hard_limit(), _ports()
    files = most if hard is None else (hard - OTHER_FILES) * workers
    return max(min(most, files, most if ports is None else ports), 1)


def _exceeded(plan: Plan) -> list[str]:
    each, hard, ports = -(-plan.concurrency // plan.workers) + OTHER_FILES, _hard_limit(), _ports()
    mistakes = []
    if hard is not None and each > hard:
        mistakes.append(
            f"concurrency ({plan.concurrency:,}) needs {each:,} open files in each of {plan.workers} processes; "
            f"this machine allows {hard:,}. Lower the concurrency, or raise the limit (ulimit -Hn)."
        )
    if ports is not None and plan.concurrency > ports:
        mistakes.append(
            f"concurrency ({plan.concurrency:,}) exceeds the {ports:,} ports that this machine has for connections to "
            f"one address ({PORTS}). Lower the concurrency, or send from several machines."
        )
    return mistakes


def _hard_limit() -> int | None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def _ports() -> int | None:
    if not PORTS.exists():
        return None
    low, high = map(int, PORTS.read_text().split())
    return high - low + 1


def raise_open_files() -> None:
    """Raise the soft limit of this process to its hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
