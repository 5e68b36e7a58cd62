"""No attack makes a pod exceed its memory, delays its /livez, or keeps it from ending after SIGTERM.

Each attack of apps/*/tests/attacks.py runs against a service in a control group with the chart's limits: all of them
one after another against one process, and in `ci/test full` each against a process of its own, with one client and
with many.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from apps.serving.tests.attacks import Attack, attacks_of
from apps.serving.tests.pod import Pod
from apps.serving.tests.siege import Besieged, Outcome, besieged

pytestmark = pytest.mark.service
APPS = ("classifier", "lm")
LIVEZ_SECONDS = 0.25  # slowest answer of /livez during an attack
TRIES = 3  # another program may have had the CPU
SHORT, LONG = 0.6, 3  # seconds of an attack
ATTACKS = [pytest.param(app, attack, id=f"{app}: {attack.name}") for app in APPS for attack in attacks_of(app).ATTACKS]
# The attacks on framing test the core, which both apps share: they run against one app, except in `full`.
ONCE = [
    param for param in ATTACKS if param.values[0] == "classifier" or param.values[1] not in attacks_of("lm").FRAMINGS
]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Callable[[str], dict]:
    """Return a function that returns the environment with an app's model, which is made once."""
    made: dict[str, dict] = {}

    def model(app: str) -> dict:
        if app not in made:
            made[app] = attacks_of(app).settings(tmp_path_factory.mktemp(app))
        return made[app]

    return model


@pytest.fixture(scope="module")
def standing(models) -> Iterator[Callable[[str], Besieged]]:
    """Return a function that returns a running service of an app: the same one until it has ended."""
    services: dict[str, Besieged] = {}
    with ExitStack() as opened:

        def service(app: str) -> Besieged:
            if app not in services or not services[app].alive:
                pod = replace(Pod.of(app), drain=0, request_timeout=5)
                services[app] = opened.enter_context(besieged(app, pod, models(app)))
            return services[app]

        yield service


@pytest.mark.parametrize("app, attack", ONCE)
def test_a_pod_withstands_an_attack(standing, app, attack):
    def outcome() -> Outcome:
        return standing(app).under(attack, attack.clients, SHORT)

    result, tries = outcome(), 1
    while tries < TRIES and not result.killed and result.livez >= LIVEZ_SECONDS:
        result, tries = outcome(), tries + 1
    check(attack, result)


@pytest.mark.parametrize("app", APPS)
def test_sigterm_ends_a_pod_after_all_attacks(standing, app):
    service = standing(app)
    assert service.end() is not None, f"it did not end within {service.pod.grace} s of SIGTERM"
    assert service.process.popen.returncode == 0


@pytest.mark.full
@pytest.mark.parametrize("clients", ["one", "many"])
@pytest.mark.parametrize("app, attack", ATTACKS)
def test_a_pod_withstands_an_attack_and_ends_during_it(models, app, attack, clients):
    with besieged(app, Pod.of(app), models(app)) as service:
        outcome = service.under(attack, 1 if clients == "one" else attack.clients, LONG, end=True)
    check(attack, outcome)
    assert outcome.end is not None, f"it did not end within {service.pod.grace} s of SIGTERM"


def check(attack: Attack, outcome: Outcome) -> None:
    assert outcome.tally["connections"] and "500" not in outcome.tally, outcome
    assert not outcome.killed, outcome
    assert outcome.livez < LIVEZ_SECONDS, outcome
    expected = {200, 503} if attack.fills else {200}
    assert outcome.honest and {status for status, _ in outcome.honest} <= expected, outcome
