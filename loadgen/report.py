"""Writes a run as one JSON document.

All durations are seconds of one monotonic clock; `start` and `end` of a request count from the start of the run.
Times of day are ISO 8601 in UTC: `started_at` was read once, `ended_at` is `started_at` + `elapsed_seconds`.

    schema_version    1
    target            "classifier" or "lm"
    url               the endpoint
    settings          the options of the run: duration_seconds, concurrency, timeout_seconds,
                      connection_seconds (null: connections are kept), dataset_size or max_new_tokens
    started_at, ended_at, elapsed_seconds
    ended_by          "duration" or "interrupt"
    dropped           requests cancelled by a second interrupt; no other figure includes them
    summary
      requests, succeeded, failed
      rate_per_second     succeeded / elapsed_seconds
      latency_seconds     of successful requests: p50, p90, p95, p99 (nearest rank), max, mean; null if none
      errors              [{outcome, status, detail, requests}], most frequent first
      served_by           [{pod, model_version, requests, first_answer}], of all answers, errors included; pod is
                          null if the header X-Served-By is missing; first_answer counts from the start of the run
      accuracy            {correct, judged, share} against MNIST's labels; null for the lm. The images come
                          from all of MNIST, and the model was trained on most of them
      completion_tokens   {total, rate_per_second}; null for the classifier
    generator
      cpu_seconds, cpu_share   CPU time of the generator's thread, and as a share of one core
      loop_lag_seconds         p50, p99, max of the event loop's delay, measured with timers 20 ms apart
      warnings                 sentences; empty unless the generator itself distorted the results
    requests          one object per request, in the order of their ends
      start, end          from before the connection, if a new one is opened, to the last byte of the answer
      outcome             "ok"; "connect" (no connection); "timeout"; "reset" (the connection broke);
                          "http" (any status but 200); "invalid" (a 200 that violates the contract, or not HTTP)
      status              of the answer, or null
      detail              why it failed; for "http" the problem's title or, without one, the reason phrase
      served_by           the answering pod, from the header X-Served-By, or null
      model_version       from the answer, or null
      request_id          from the header X-Request-ID of answers other than 200, or null
      sample_index        index into MNIST's 70,000 images, or null
      correct             whether the label was right, or null
      completion_tokens   of the answer, or null
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadgen.observe import Run
from loadgen.summary import generator, summarise

SCHEMA_VERSION = 1


def document(run: Run) -> dict[str, Any]:
    """Return the report without `requests`, which `write` adds."""
    summary = summarise(run)
    return {
        "schema_version": SCHEMA_VERSION,
        "target": run.target,
        "url": run.url,
        "settings": dict(run.settings),
        "started_at": run.clock.wall(0).isoformat(),
        "ended_at": run.clock.wall(run.elapsed_seconds).isoformat(),
        "elapsed_seconds": run.elapsed_seconds,
        "ended_by": "interrupt" if run.interrupted else "duration",
        "dropped": run.under_way,
        "summary": summary,
        "generator": generator(run, summary["latency_seconds"]),
    }


def write(path: Path, run: Run) -> None:
    """Write the report to `path` atomically, with one line per request, so that it can be searched with grep."""
    head = json.dumps(document(run), indent=2)
    requests = ",\n".join(json.dumps(asdict(observation)) for observation in run.observations)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(f'{head[:-2]},\n  "requests": [\n{requests}\n  ]\n}}\n')
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
