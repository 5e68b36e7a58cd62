"""The exit status of a run. When several apply, the first in this order wins; k6 also uses 99 for thresholds."""

USAGE = 2
GENERATOR_SATURATED = 98
CLUSTER_NOT_OBSERVABLE = 96
THRESHOLD_MISSED = 99
REQUESTS_FAILED = 1
SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}

DESCRIPTION = (
    "Exit status, the first that applies: 2 the command line is wrong, 98 the generator was saturated, 96 the cluster "
    "could not be observed, 99 a threshold was missed, 1 a request failed (unless a threshold on errors allows it) or "
    "a result could not be written in full, 130, 143 or 129 interrupted by SIGINT, SIGTERM or SIGHUP, else 0."
)


def status(
    *, saturated: bool, observable: bool, thresholds_passed: bool, requests_failed: bool, interrupted_by: str | None
) -> int:
    """Return the exit status. `interrupted_by`: the signal's name, or None if the run ended by itself."""
    if saturated:
        return GENERATOR_SATURATED
    if not observable:
        return CLUSTER_NOT_OBSERVABLE
    if not thresholds_passed:
        return THRESHOLD_MISSED
    if requests_failed:
        return REQUESTS_FAILED
    return SIGNALS[interrupted_by] if interrupted_by else 0
