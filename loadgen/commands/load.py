"""A load run from its options to its exit status: plan, run, observe, summarise, write."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from loadgen.autoscaler.elasticity import elasticity
from loadgen.autoscaler.reaction import reaction
from loadgen.autoscaler.recompute import decisions
from loadgen.client.endpoint import public_url
from loadgen.cluster.observation import Observation
from loadgen.commands import exits, files, results
from loadgen.commands.abort import Abort
from loadgen.commands.options import LoadOptions
from loadgen.engine import limits
from loadgen.engine.follow import Second
from loadgen.engine.plan import Phase, Plan
from loadgen.engine.run import Recorded, run
from loadgen.engine.stop import Stop
from loadgen.report.verdict import verdict
from loadgen.scenarios import schedule, thresholds
from loadgen.scenarios.scenario import DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT_SECONDS, DEFAULT_URLS, Scenario
from loadgen.statistics.document import document as make_document
from loadgen.targets.target import Target
from loadgen.terminal.live import LiveView
from loadgen.terminal.summary import headline, summary_text

if TYPE_CHECKING:
    from loadgen.cluster.watch import Watch

MAX_IN_FLIGHT = 10_000
SETTLE_SHOW_SECONDS = 30


def load(options: LoadOptions, target: Target) -> int:
    """Carry the run out; return its exit status."""
    scenario = options.scenario
    console = sys.stderr if any(map(files.is_standard_output, (options.output, options.report))) else sys.stdout
    plan = plan_of(scenario, target)
    with suppress(OSError):  # standard output can be full, or its reader gone: that ends no run
        print(headline(scenario, public_url(plan.url, plan.target.path)), file=console, flush=True)
    parsed = [thresholds.parse(text) for text in scenario.thresholds]
    with Stop() as stop, records_folder(options.output) as folder:
        watch = None
        if scenario.observe:
            from loadgen.cluster.watch import NotObservable, Watch  # takes a third of a second

            watch = Watch(scenario.observe)
            try:
                watch.start()
            except NotObservable as error:
                print(f"--observe {scenario.observe}: {error}.", file=sys.stderr)
                return exits.CLUSTER_NOT_OBSERVABLE
        try:
            abort = Abort(parsed, plan, stop)
            with LiveView(console, scenario.all_phases, watch.current if watch else lambda: None) as live:

                def on_second(second: Second) -> None:
                    live.show(second)
                    abort.see(second)

                recorded = run(plan, folder, on_second, stop)
            if watch:
                settle(watch, scenario.settle_seconds, stop, console)
        except limits.Refused as error:
            print(error, file=sys.stderr)
            return exits.USAGE
        finally:
            if watch:
                watch.stop()
        observation = watch.observation(recorded.clock.monotonic, recorded.clock.epoch) if watch else None
        document = complete(recorded, scenario, observation, parsed)
        # First the summary, which is what a person waits for; where it cannot be written, that does not cost the rest.
        with suppress(OSError):
            print(summary_text(document), file=console, flush=True)
        written = results.write(options, document, recorded)
        interrupted_by = recorded.ended_by if recorded.ended_by in exits.SIGNALS else None
        return exits.status(
            saturated=document["generator"]["saturated"],
            observable=observation is None or bool(observation.hpa),
            thresholds_passed=all(entry["passed"] for entry in document["thresholds"]),
            requests_failed=not written
            or not (document["summary"]["requests"] or interrupted_by)
            or (document["summary"]["failed"] > 0 and not thresholds.govern_errors(parsed)),
            interrupted_by=interrupted_by,
        )


def plan_of(scenario: Scenario, target: Target) -> Plan:
    """Return what the engine is to do."""
    phases = [Phase(phase.name, phase.seconds, phase.warmup) for phase in scenario.all_phases]
    workers = scenario.workers or len(os.sched_getaffinity(0))
    concurrency = max_in_flight = scenario.concurrency or DEFAULT_CONCURRENCY[scenario.target]
    arrivals = arrivals_of(scenario) if scenario.open_loop else None
    if scenario.trace is not None and arrivals is not None:
        phases = [Phase("load", float(arrivals[-1]) + 1)]
    if arrivals is not None:
        # Nothing ever waits for a connection: each arrival is sent at once, or dropped.
        concurrency = max_in_flight = scenario.max_in_flight or limits.most_connections(workers, MAX_IN_FLIGHT)
    return Plan(
        target=target,
        url=scenario.url or DEFAULT_URLS[scenario.target],
        phases=tuple(phases),
        arrivals=arrivals,
        concurrency=concurrency,
        max_in_flight=max_in_flight,
        connections=scenario.connections,
        timeout_seconds=scenario.timeout_seconds or DEFAULT_TIMEOUT_SECONDS[scenario.target],
        workers=workers,
        headers=tuple((name, value.strip()) for name, _, value in (text.partition(":") for text in scenario.headers)),
        ca=scenario.ca,
        insecure=scenario.insecure,
        obey_retry_after=scenario.obey_retry_after,
        seed=scenario.seed,
    )


def arrivals_of(scenario: Scenario) -> NDArray[np.float64]:
    """Return the intended times of an open loop."""
    if scenario.trace is not None:
        return schedule.read_trace(scenario.trace)
    rng = np.random.default_rng(scenario.seed) if scenario.arrivals == "poisson" else None
    segments = [schedule.Segment(phase.seconds, *(phase.rate or (0, 0))) for phase in scenario.all_phases]
    return schedule.arrivals(segments, rng)


@contextmanager
def records_folder(output: str | None) -> Iterator[Path]:
    """A folder for the records, beside a regular output file, so that they survive there if this process is killed."""
    beside = None
    if output and output != "-" and (not os.path.exists(output) or os.path.isfile(output)):
        beside = Path(os.path.realpath(output)).parent
    folder = tempfile.mkdtemp(prefix=f".{Path(output or 'loadgen').name[: files.NAME_LENGTH]}-records-", dir=beside)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settle(watch: "Watch", seconds: int, stop: Stop, console: TextIO) -> None:
    """Wait until the release is back at its minimum, at most `seconds`, or until a signal."""
    start, said, minimum = time.monotonic(), -1.0, watch.observation(0, 0).hpa[-1].min
    while (waited := time.monotonic() - start) < seconds and not stop.requests:
        replicas = watch.current().replicas
        if replicas <= minimum:
            return
        if waited // SETTLE_SHOW_SECONDS > said:
            said = waited // SETTLE_SHOW_SECONDS
            with suppress(OSError):
                print(
                    f"watching the way down: {replicas} replicas, {waited:.0f} s after the load",
                    file=console,
                    flush=True,
                )
        time.sleep(0.5)


def complete(
    recorded: Recorded,
    scenario: Scenario,
    observation: Observation | None,
    parsed: list[thresholds.Threshold],
) -> dict[str, Any]:
    """Return the run's document with everything that is computed from records and observation."""
    ready = observation.deployment[-1].ready if observation and observation.deployment else None
    document = make_document(recorded, settings(scenario, recorded.plan), ready)
    if observation:
        document["cluster"] = observation.model_dump(mode="json", by_alias=True)
        document["decisions"] = [entry.model_dump(mode="json") for entry in decisions(observation)]
        document["reaction"] = reaction(document)
        document["elasticity"] = elasticity(document, objective(parsed))
    document["thresholds"] = thresholds.evaluate(parsed, document)
    document["verdict"] = verdict(document)
    return document


def settings(scenario: Scenario, plan: Plan) -> Mapping[str, Any]:
    """Return the scenario as it was run, without secrets: headers by name, the URL without user information."""
    headers = [text.partition(":")[0] for text in scenario.headers]
    closed = plan.concurrency if plan.arrivals is None else None
    in_flight = None if plan.arrivals is None else plan.max_in_flight
    hints = {name: field.json_schema_extra or {} for name, field in Scenario.model_fields.items()}
    others = {name for name, hint in hints.items() if isinstance(hint, dict) and not _applies(hint, scenario.target)}
    return scenario.model_dump(mode="json", exclude=others) | {
        "url": public_url(plan.url, plan.target.path),
        "headers": headers,
        "concurrency": closed,
        "max_in_flight": in_flight,
        "timeout_seconds": plan.timeout_seconds,
        "workers": plan.workers,
    }


def _applies(hint: Mapping[str, Any], target: str) -> bool:
    return target in hint.get("targets", (target,))


def objective(parsed: list[thresholds.Threshold]) -> float | None:
    """Return the limit of the response time's p99, in seconds, if a threshold sets one for the whole run."""
    limits_of_p99 = [t.limit for t in parsed if t.metric == "response.p99" and t.phase is None and "<" in t.comparison]
    return min(limits_of_p99, default=None)
