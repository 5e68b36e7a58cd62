"""The command `simulate`: forecasts by the model that is fitted to a measured run."""

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from loadgen.autoscaler import fit, forecast, simulate
from loadgen.autoscaler.values import hpa_of
from loadgen.commands import options
from loadgen.commands.load import arrivals_of
from loadgen.report.reading import read_document
from loadgen.scenarios import scenario
from loadgen.scenarios.scenario import DEFAULT_CONCURRENCY, Scenario


def run(words: Namespace, mistakes: list[str]) -> list[str]:
    """Print what the autoscaler would do with another load or other values; return the mistakes instead, if any."""
    mistakes = list(mistakes)
    other, document, model, hpa = None, None, None, None
    if words.scenario:
        other, wrong = options.scenario_of(Path(words.scenario))
        mistakes += wrong
    if not words.seed.isdecimal():
        mistakes.append(f"--seed {words.seed}: must be a whole number, at least 0.")
    try:
        document = read_document(Path(words.file))
        model = fit.fit(document)
    except (ValueError, fit.Unfit) as error:
        mistakes.append(f"{words.file}: {error}")
    values: dict[str, Any] = {}
    try:
        values = scenario.load(Path(words.hpa)) if words.hpa else {}
    except ValueError as error:
        mistakes.append(f"--hpa {error}")
    try:
        hpa = hpa_of(values, model.hpa) if model else None
    except ValueError as error:
        mistakes.append(f"--hpa {words.hpa}: {error}")
    if mistakes or document is None or model is None:
        return mistakes
    seed, measured = int(words.seed), fit.load_of(document)
    load = fit.Load(**demand(other)) if other else measured
    forecasts = {"as measured": simulate.simulate(model, measured, seed=seed)}
    if names := [Path(path).name for path in (words.scenario, words.hpa) if path]:
        forecasts[", ".join(names)] = simulate.simulate(model, load, hpa, seed=seed)
    rate = max(load.rates) if load.rates else document["summary"]["rate_per_second"]
    needs = simulate.needs(model, rate, hpa=hpa)
    print(forecast.text(model, forecast.measured(document), forecasts, needs))
    return []


def demand(asked: Scenario) -> dict[str, Any]:
    """Return the scenario's demand in each second: arrivals of an open loop, or users of a closed one."""
    seconds = math.ceil(sum(phase.seconds for phase in asked.all_phases))
    if not asked.open_loop:
        users = asked.concurrency or DEFAULT_CONCURRENCY[asked.target]
        return {"users": (users,) * seconds}
    arrivals = arrivals_of(asked)
    return {"rates": tuple(np.bincount(arrivals.astype(int), minlength=seconds).astype(float).tolist())}
