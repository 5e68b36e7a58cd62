"""The JSON document of a run.

All times are seconds on one monotonic clock, from the start of the run; null where unknown. Keys:

    schema_version    2
    summary           of all phases but warm-ups
      requests          succeeded + failed. Beside them are counted: dropped (due while as many requests were under way
                        as max_in_flight allows), local (failed on this machine), interrupted (cut off by a second
                        signal), stale (sent once more, because the server had closed the kept connection before a
                        byte of the answer), retry_after (429 and 503 that asked to wait)
      rate_per_second   answers to requests due in the window in which requests were sent, over its length
      response_seconds  end - intended, of all that were due: p50, p90, p95, p99 (nearest rank), max, mean. A failure or
                        a dropped request counts as at least its timeout
      response_seconds_succeeded   the same of successes alone
      service_seconds   end - sent, of all that were sent; a failure counts as at least its timeout
      delay_seconds     sent - intended, in two parts: no_connection (waited for a free connection), loop_late
      first_token_seconds, inter_token_seconds   of streams
      longest_silence_seconds   of a closed loop: the longest time without a success
      errors            [{outcome, status, detail, requests, phase, pod, model_version}], most frequent first
      served_by         [{pod, model_version, requests, first_answer}], of all answers, errors included
      accuracy          {correct, judged, share} against known labels. MNIST: most images were used in training
      completion_tokens {total, rate_per_second}
    verdict, thresholds, cluster, decisions, reaction, elasticity   set by the caller
    phases            [{name, start, end, warmup, summary}]
    drain             {seconds, requests, succeeded, failed} after the window in which requests were sent
    generator         saturated, reasons (sentences), workers [{worker, cpu_seconds, cpu_share_max, busiest_second}],
                      cpu_seconds, delay_seconds, due, started, local_errors [{detail, requests}]
    warnings          sentences
    settings          as the caller passed them
    target, url       without user info, and with the path that was used
    run               started_at (ISO 8601), started_epoch, ended_by ("duration", a signal, or a reason),
                      sending_seconds, elapsed_seconds, version, commit, host {name, system, cores, python}
    timeline          lists by the second in which requests were due: second, phase, due, started, succeeded, failed,
                      dropped, in_flight (at its end), response_p50, response_p90, response_p99, service_p50,
                      service_p99. By the second in which they arrived: answered (successes), answered_service_mean
                      (the mean of their end - sent)
    answered_by       [{pod, answered: successes by the second in which they arrived}]
    requests          one object a line, in the order of their ends: intended, sent, first_byte, end, no_connection,
                      connecting (a part of end - sent), outcome, status, detail, stale, retry_after, served_by,
                      model_version, request_id (of failures), sample_index, correct, completion_tokens, first_token.
                      Outcomes: ok, connect, tls, timeout, reset, http (any status that is no success), invalid (an
                      answer that violates the contract, or not HTTP), stream (an error within a stream), dropped,
                      interrupted, local. null if the disk was full
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from loadgen.client.endpoint import public_url
from loadgen.engine.run import Recorded
from loadgen.statistics.provenance import provenance
from loadgen.statistics.saturation import generator, one_pod_warning
from loadgen.statistics.summary import summarise

SCHEMA_VERSION = 2


def document(recorded: Recorded, settings: Mapping[str, Any], ready_pods: int | None = None) -> dict[str, Any]:
    """Return the document without `requests`, which `output.write` streams from the records.

    thresholds is [], verdict, cluster, decisions, reaction and elasticity are None: the caller sets those that it has.
    """
    plan, clock, parts = recorded.plan, recorded.clock, summarise(recorded)
    warning = one_pod_warning(parts["summary"], ready_pods)
    return {
        "schema_version": SCHEMA_VERSION,
        "summary": parts["summary"],
        "verdict": None,
        "thresholds": [],
        "phases": parts["phases"],
        "drain": parts["drain"],
        "generator": generator(recorded, parts["measured"].table, parts["texts"]),
        "warnings": [warning] if warning else [],
        "settings": dict(settings),
        "target": plan.target.name,
        "url": public_url(plan.url, plan.target.path),
        "run": {
            "started_at": datetime.fromtimestamp(clock.epoch, UTC).isoformat(),
            "started_epoch": clock.epoch,
            "ended_by": recorded.ended_by,
            "sending_seconds": recorded.sending_seconds,
            "elapsed_seconds": parts["elapsed_seconds"],
            **provenance(),
        },
        "timeline": parts["timeline"],
        "answered_by": parts["answered_by"],
        "cluster": None,
        "decisions": None,
        "reaction": None,
        "elasticity": None,
    }
