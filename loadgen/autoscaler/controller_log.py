"""Reads what kube-controller-manager logs of each sync with `--vmodule=horizontal=4`, in klog's text format.

The messages and keys are those of `reconcileAutoscaler` in Kubernetes 1.35, pkg/controller/podautoscaler/horizontal.go.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from loadgen.autoscaler.recompute import SyncDecision

HEADER = re.compile(r"[IWEF](\d{4} \d{2}:\d{2}:\d{2}\.\d{6})\s+\d+ horizontal\.go:\d+\] \"([^\"]*)\"(.*)")
PAIR = re.compile(r' (\w+)=("(?:[^"\\]|\\.)*"|\S+)')
PROPOSING, RESCALED, KEPT = "Proposing desired replicas", "Successfully rescaled", "Decided not to scale"


@dataclass(frozen=True)
class LoggedSync:
    """One sync. `proposed` is None where none was logged: the replicas were out of bounds, or nobody could scale them.

    `epoch` is when it logged first, in seconds since 1970. `before` is None if nothing was changed.
    """

    epoch: float
    proposed: int | None
    before: int | None
    desired: int


def parse(text: str, hpa: str, target: str, year: int) -> list[LoggedSync]:
    """The syncs of one autoscaler in the order of the log.

    `hpa` is NAMESPACE/NAME, `target` KIND/NAMESPACE/NAME, such as Deployment/inference/classifier-service. klog leaves
    out the `year`, and its times are taken for UTC, as in the controller's image.
    """
    syncs: list[LoggedSync] = []
    begun, proposed = None, None
    for line in text.splitlines():
        match = HEADER.search(line)
        if match is None:
            continue
        stamp, message, rest = match.groups()
        values = {key: value.strip('"') for key, value in PAIR.findall(rest)}
        if target != values.get("scaleTarget") and hpa != values.get("HPA"):
            continue
        epoch = datetime.strptime(f"{year} {stamp}", "%Y %m%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
        if message == PROPOSING:
            begun, proposed = epoch, int(values["desiredReplicas"])
        elif message in (RESCALED, KEPT):
            before = int(values["currentReplicas"]) if message == RESCALED else None
            syncs.append(LoggedSync(begun or epoch, proposed, before, int(values["desiredReplicas"])))
            begun, proposed = None, None
    return syncs


@dataclass(frozen=True)
class Agreement:
    """How many decisions agree with the log; sentences on those that differ, and on those that cannot be judged."""

    agree: int
    differ: tuple[str, ...]
    unknown: tuple[str, ...]


def compare(syncs: Sequence[LoggedSync], decisions: Sequence[SyncDecision]) -> Agreement:
    """The log beside decisions for the times of its syncs. Raises ValueError if their numbers differ."""
    agree = 0
    differ: list[str] = []
    unknown: list[str] = []
    for logged, made in zip(syncs, decisions, strict=True):
        proposed_alike = logged.proposed is None or logged.proposed == made.proposed
        if proposed_alike and logged.desired == made.desired:
            agree += 1
            continue
        text = f"{made.t:.1f} s: proposed {made.proposed} and set {made.desired}"
        text += f", the controller {logged.proposed} and {logged.desired}: {made.why}"
        (unknown if made.unknown else differ).append(" ".join([text, *made.unknown]))
    return Agreement(agree, tuple(differ), tuple(unknown))
