"""Recorded runs made of known records, as if workers had written them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from loadgen.engine.plan import Phase, Plan
from loadgen.engine.records import GAP, RECORD, TICK
from loadgen.engine.run import Clock, Recorded
from loadgen.targets.outcome import Outcome
from loadgen.targets.template import template

PLAN = Plan(
    target=template("{}"),
    url="http://user:secret@127.0.0.1:1/x",
    phases=(Phase("load", 10.0),),
    timeout_seconds=5.0,
    max_in_flight=100,
    concurrency=10,
)


def row(intended=0.0, seconds=0.1, **fields):
    """A success that was sent at once, with changes; `late` is sent - intended."""
    record = np.zeros((), RECORD)
    record["intended"], record["end"] = intended, intended + seconds
    record["sent"] = intended + fields.pop("late", 0.0)
    record["first_byte"] = record["sent"] + seconds / 2
    record["status"], record["correct"], record["sample"], record["tokens"] = 200, -1, -1, -1
    record["first_token"] = record["retry_after"] = np.nan
    for name, value in fields.items():
        record[name] = value
    return record


def failure(intended=0.0, seconds=0.1, outcome=Outcome.HTTP, status=503, **fields):
    return row(intended, seconds, outcome=outcome, status=status, **fields)


def recorded(folder: Path, *workers, texts=(), gaps=(), ticks=(), problems=(), sending_seconds=None, **changes):
    """Return a run with the records of each worker, which share `texts`."""
    plan = replace(PLAN, workers=max(len(workers), 1), **changes)
    folder.mkdir(exist_ok=True)
    for number, rows in enumerate(workers or ((),)):
        (folder / f"records-{number}").write_bytes(np.array(list(rows), RECORD).tobytes())
        (folder / f"gaps-{number}").write_bytes(np.array(list(gaps), GAP).tobytes() if number == 0 else b"")
        (folder / f"texts-{number}").write_text("".join(json.dumps(text) + "\n" for text in texts))
        (folder / f"ids-{number}").write_text('"request-1"\n')
    rows = np.array([(*tick, 0, 0, 0, 0, 0) for tick in ticks], TICK)
    sending = plan.seconds if sending_seconds is None else sending_seconds
    return Recorded(plan, folder, Clock(100.0, 1.7e9), "duration", sending, 1.0, rows, list(problems))
