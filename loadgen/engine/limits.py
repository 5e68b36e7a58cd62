"""Limits of this machine: raises that of open files, and refuses a plan that cannot fit."""

import resource
from pathlib import Path

from loadgen.engine.plan import Plan

OTHER_FILES = 64  # of a worker: its own, the event loop's, and connections that are being closed
PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Refused(Exception):
    """The plan exceeds a limit of this machine; the text gives value, rule and remedy."""


def check(plan: Plan) -> None:
    """Raise Refused with every limit that the plan exceeds."""
    each, hard = -(-plan.concurrency // plan.workers) + OTHER_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    mistakes = []
    if hard != resource.RLIM_INFINITY and each > hard:
        mistakes.append(
            f"concurrency ({plan.concurrency:,}) needs {each:,} open files in each of {plan.workers} processes; "
            f"this machine allows {hard:,}. Lower the concurrency, or raise the limit (ulimit -Hn)."
        )
    if PORTS.exists():
        low, high = map(int, PORTS.read_text().split())
        if plan.concurrency > high - low + 1:
            mistakes.append(
                f"concurrency ({plan.concurrency:,}) exceeds the {high - low + 1:,} ports that this machine has for "
                f"connections to one address ({PORTS}). Lower the concurrency, or send from several machines."
            )
    if mistakes:
        raise Refused("\n".join(mistakes))


def raise_open_files() -> None:
    """Raise the soft limit of this process to its hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
