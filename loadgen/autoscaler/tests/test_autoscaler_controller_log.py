"""The controller's log: lines as Kubernetes 1.35 writes them, beside decisions."""

from datetime import UTC, datetime

from loadgen.autoscaler.controller_log import LoggedSync, compare, parse
from loadgen.autoscaler.recompute import Inputs, SyncDecision

NAME = 'logger="horizontal-pod-autoscaler-controller"'
METRIC = 'metric="cpu resource utilization (percentage of request)" tolerances="[down:10.0%, up:10.0%]"'
TIMESTAMP = 'timestamp="2026-11-26 08:00:10 +0000 UTC"'
LOG = f"""\
I1126 08:00:15.100000       1 horizontal.go:870] "Proposing desired replicas" {NAME} desiredReplicas=4 {METRIC} \
{TIMESTAMP} scaleTarget="Deployment/inference/classifier-service"
I1126 08:00:15.101000       1 horizontal.go:870] "Proposing desired replicas" {NAME} desiredReplicas=9 {METRIC} \
{TIMESTAMP} scaleTarget="Deployment/inference/lm-service"
I1126 08:00:15.120000       1 horizontal.go:937] "Successfully rescaled" {NAME} HPA="inference/classifier-service" \
currentReplicas=1 desiredReplicas=3 reason="cpu resource utilization (percentage of request) above target"
I1126 08:00:15.125000       1 event.go:389] "Event occurred" {NAME} object="inference/classifier-service" \
message="New size: 3; reason: cpu resource utilization (percentage of request) above target"
2026-11-26T08:00:30.200Z stderr F I1126 08:00:30.150000       1 horizontal.go:870] "Proposing desired replicas" {NAME} \
desiredReplicas=3 {METRIC} {TIMESTAMP} scaleTarget="Deployment/inference/classifier-service"
I1126 08:00:30.160000       1 horizontal.go:953] "Decided not to scale" {NAME} \
scaleTarget="Deployment/inference/classifier-service" desiredReplicas=3 lastScaleTime="2026-11-26 08:00:15 +0000 UTC"
I1126 08:00:45.160000       1 horizontal.go:937] "Successfully rescaled" {NAME} HPA="inference/classifier-service" \
currentReplicas=9 desiredReplicas=5 reason="Current number of replicas above Spec.MaxReplicas"
"""
START = datetime(2026, 11, 26, 8, tzinfo=UTC).timestamp()
SYNCS = parse(LOG, "inference/classifier-service", "Deployment/inference/classifier-service", 2026)


def made(t: float, proposed: int | None, desired: int, **changes: object) -> SyncDecision:
    fields = {"seen": True, "current": 1, "observed": desired, "reason": "scaled_up", "why": "Why.", "differs": False}
    fields |= {"limited_by": None, "unknown": (), "inputs": Inputs(minimum=1, maximum=5), **changes}
    return SyncDecision.model_validate({"t": t, "proposed": proposed, "desired": desired, **fields})


def test_syncs_of_one_autoscaler():
    assert [(round(s.epoch - START, 3), s.proposed, s.before, s.desired) for s in SYNCS] == [
        (15.1, 4, 1, 3),
        (30.15, 3, None, 3),
        (45.16, None, 9, 5),
    ]


def test_other_autoscalers_lines_are_not_its_own():
    assert parse(LOG, "inference/lm-service", "Deployment/inference/lm-service", 2026) == []  # its sync has not ended


def test_decisions_that_agree():
    agreement = compare(SYNCS, [made(15.1, 4, 3), made(30.15, 3, 3), made(45.16, None, 5)])
    assert (agreement.agree, agreement.differ, agreement.unknown) == (3, (), ())


def test_each_difference_is_told_and_what_cannot_be_judged_is_told_apart():
    unknown = made(30.15, 2, 2, unknown=("a sample was missed",))
    agreement = compare(SYNCS, [made(15.1, 5, 3), unknown, made(45.16, None, 5)])
    assert agreement.agree == 1
    assert agreement.differ == ("15.1 s: proposed 5 and set 3, the controller 4 and 3: Why.",)
    assert agreement.unknown == ("30.1 s: proposed 2 and set 2, the controller 3 and 3: Why. a sample was missed",)


def test_a_sync_without_a_proposal_agrees_by_what_it_set():
    assert compare([LoggedSync(START, None, None, 2)], [made(0, 7, 2)]).agree == 1
