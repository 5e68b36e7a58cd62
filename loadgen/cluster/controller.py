"""Reads the flags of kube-controller-manager that the autoscaler obeys."""

from collections.abc import Sequence

from loadgen.cluster.observation import Controller
from loadgen.cluster.quantities import duration

PREFIX = "--horizontal-pod-autoscaler-"
DURATIONS = {
    "sync-period": "sync_seconds",
    "cpu-initialization-period": "cpu_initialization_seconds",
    "initial-readiness-delay": "initial_readiness_seconds",
    "downscale-stabilization": "downscale_stabilization_seconds",
}


def from_arguments(arguments: Sequence[str]) -> Controller:
    """What the command line of the controller manager says; the defaults of Kubernetes where it says nothing."""
    flags = {}
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        flag, equals, value = argument.partition("=")
        if flag.startswith(PREFIX):
            flags[flag.removeprefix(PREFIX)] = value if equals else following
    values = {name: duration(flags[flag]) for flag, name in DURATIONS.items() if flag in flags}
    if "tolerance" in flags:
        values["tolerance"] = float(flags["tolerance"])
    return Controller(**values, source="flags")
