"""loadgen's engine, with everything that a run records. argv: URL, seconds, connections, the file of the body."""

import sys
import tempfile
from pathlib import Path

from loadgen.engine.plan import Phase, Plan
from loadgen.engine.run import run
from loadgen.statistics.summary import summarise
from loadgen.targets.template import template

if __name__ == "__main__":
    url, seconds, connections, body = sys.argv[1:]
    plan = Plan(
        target=template(Path(body).read_text()),
        url=url,
        phases=(Phase("load", float(seconds)),),
        concurrency=int(connections),
        connections="kept",
    )
    with tempfile.TemporaryDirectory() as folder:
        summary = summarise(run(plan, Path(folder)))["summary"]
    print(summary["requests"], summary["failed"], summary["response_seconds"])
    sys.exit(1 if summary["failed"] else 0)
