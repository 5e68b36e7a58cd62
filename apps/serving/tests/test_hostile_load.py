"""No request and no set of requests takes a pod beyond its memory, keeps /livez waiting, or keeps it from ending.

Each kind of the tables (apps/*/tests/attacks.py) meets the real process in a control group as the chart's values make
it: all in turn meet one process, and in `ci/test full` each meets one of its own, singly and many at once.
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
# Framing is the core's, so that one service stands for both where time counts.
ONCE = [
    param for param in ATTACKS if param.values[0] == "classifier" or param.values[1] not in attacks_of("lm").FRAMINGS
]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Callable[[str], dict]:
    """The environment that names an app's model, made once."""
    made: dict[str, dict] = {}

    def model(app: str) -> dict:
        if app not in made:
            made[app] = attacks_of(app).settings(tmp_path_factory.mktemp(app))
        return made[app]

    return model


@pytest.fixture(scope="module")
def standing(models) -> Iterator[Callable[[str], Besieged]]:
    """A service of an app that meets one attack after the other; another takes its place when it has ended."""
    services: dict[str, Besieged] = {}
    with ExitStack() as opened:

        def service(app: str) -> Besieged:
            if app not in services or not services[app].alive:
                pod = replace(Pod.of(app), drain=0, request_timeout=5)
                services[app] = opened.enter_context(besieged(app, pod, models(app)))
            return services[app]

        yield service


@pytest.mark.parametrize("app, attack", ONCE)
def test_a_pod_withstands(standing, app, attack):
    def outcome() -> Outcome:
        return standing(app).under(attack, attack.clients, SHORT)

    seen = [outcome()]
    while len(seen) < TRIES and not seen[-1].killed and seen[-1].livez >= LIVEZ_SECONDS:
        seen.append(outcome())
    withstood(attack, seen[-1])


@pytest.mark.parametrize("app", APPS)
def test_sigterm_ends_a_pod_after_all_of_them(standing, app):
    service = standing(app)
    assert service.end() is not None, f"not within {service.pod.grace} s"
    assert service.process.popen.returncode == 0


@pytest.mark.full
@pytest.mark.parametrize("clients", ["one", "many"])
@pytest.mark.parametrize("app, attack", ATTACKS)
def test_a_pod_withstands_and_ends_in_the_midst(models, app, attack, clients):
    with besieged(app, Pod.of(app), models(app)) as service:
        outcome = service.under(attack, 1 if clients == "one" else attack.clients, LONG, end=True)
    withstood(attack, outcome)
    assert outcome.end is not None, f"it did not end within {service.pod.grace} s of SIGTERM"


def withstood(attack: Attack, outcome: Outcome) -> None:
    assert outcome.tally["connections"] and "500" not in outcome.tally, outcome
    assert not outcome.killed, outcome
    assert outcome.livez < LIVEZ_SECONDS, outcome
    expected = {200, 503} if attack.fills else {200}
    assert outcome.honest and {status for status, _ in outcome.honest} <= expected, outcome
