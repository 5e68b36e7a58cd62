"""Summaries: counts, rates, latencies, errors and answers by pod, of a run or a part of it."""

from typing import Any

from loadgen.engine.run import Recorded


def summarise(recorded: Recorded) -> dict[str, Any]:
    """Return {"summary", "phases", "drain", "timeline", "generator"} of the JSON document.

    `summary` is over all phases but warm-ups. Percentiles are by nearest rank over all requests that were due: a
    failure counts as at least its timeout, and so does a dropped one; those of `response_seconds_succeeded` over
    successes. Local errors and requests cut off by a second signal are in neither.
    `requests` = `succeeded` + `failed`; `dropped`, `local` and `interrupted` are counted beside it.
    """
    raise NotImplementedError
