"""Scenario files and flags: one set of fields, all mistakes at once."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from loadgen.commands import load, options
from loadgen.scenarios import scenario
from loadgen.scenarios.scenario import Scenario
from loadgen.targets.template import template

SCENARIOS = sorted(Path(scenario.__file__).parent.glob("*.yaml"))


def read(*words):
    command, flags, mistakes = options.parse(list(words))
    valid, more = options.load_options(command, flags)
    return valid.scenario if valid else None, mistakes + more


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "x.yaml").write_text(text)
        return str(tmp_path / "x.yaml")

    return write


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_each_committed_scenario_is_valid_and_names_its_target(path):
    valid, mistakes = read("--scenario", str(path))
    assert mistakes == [] and valid.target


@pytest.mark.parametrize(
    ("target", "values"),
    [("classifier", ""), ("oip", ""), ("lm", "-lm"), ("openai", "-lm")],
)
def test_a_request_may_take_longer_than_the_service_itself_allows(target, values):
    charts = Path(scenario.__file__).parents[2] / "charts" / "inference-service"
    deadline = yaml.safe_load((charts / f"values{values}.yaml").read_text())["requestTimeoutSeconds"]
    default = load.plan_of(Scenario(target=target), template("{}"))
    assert default.timeout_seconds > deadline
    assert load.settings(Scenario(target=target), default)["timeout_seconds"] == default.timeout_seconds
    assert load.plan_of(Scenario(target=target, timeout_seconds=3), template("{}")).timeout_seconds == 3


def test_flags_override_the_file(file):
    path = file("target: lm\nconcurrency: 2\nmax_new_tokens: 40\n")
    valid, _ = read("--scenario", path, "--max-new-tokens", "5")
    assert (valid.target, valid.concurrency, valid.max_new_tokens) == ("lm", 2, 5)
    assert read("classifier", "--scenario", file("target: lm"))[0].target == "classifier"


def test_a_file_tells_all_mistakes_with_its_name_and_the_fields(file):
    path = file(
        "target: cat\nrate: fast\nphases:\n- {name: a, seconds: 0, rate: 1}\n- {name: b, seconds: 1}\nbogus: 1\n"
    )
    _, mistakes = read("--scenario", path)
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in mistakes] == [
        "target cat",
        "rate fast",
        "phases[0].seconds 0",
        "bogus",
    ]


def test_the_words_are_those_of_yaml_and_not_of_python(file):
    path = file("target: lm\nthresholds: p99<1s\nobey_retry_after: often\nphases: [{name: a, secs: 3}]\n")
    assert [line.removeprefix(f"{path}: ") for line in read("--scenario", path)[1]] == [
        "phases[0].seconds: is missing.",
        "phases[0].secs 3: is not known here.",
        "obey_retry_after often: must be true or false.",
        "thresholds p99<1s: must be a list.",
    ]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--rate", "5", "--phase", "a:1:1"], "each phase has its own rate"),
        (["--duration-seconds", "5", "--phase", "a:1:1"], "each phase has its own length"),
        (["--phase", "a:1:1", "--phase", "b:1"], "b without a rate"),
        (["--phase", "a:1:1", "--phase", "a:1:2"], "a occurs more than once"),
        (["--rate", "5", "--concurrency", "3"], "is for the closed loop"),
        (["--rate", "5", "--obey-retry-after"], "is for the closed loop"),
        (["--url", "http://host", "--insecure"], "is for https; the URL begins with http."),
        (["--threshold", "p99{phase=x}<1s"], "there is no phase x; there are load"),
        (["--threshold", "replicas.max>2"], "needs --observe"),
    ],
)
def test_fields_that_contradict_each_other_are_told_beside_wrong_ones(words, rule):
    _, mistakes = read("classifier", *words, "--seed", "-1")
    assert mistakes[0] == "--seed -1: must be a whole number, at least 0."
    assert rule in mistakes[1] and len(mistakes) == 2


def test_a_phase_flag_is_the_same_as_a_phase_of_a_file(file):
    flags, _ = read("classifier", "--phase", "warm-up:10:5:warmup", "--phase", "rise:30:10-50")
    text = "phases: [{name: warm-up, seconds: 10, rate: 5, warmup: true}, {name: rise, seconds: 30, rate: [10, 50]}]"
    assert flags.phases == read("classifier", "--scenario", file(text))[0].phases


def test_a_file_that_is_not_yaml_is_told_with_its_line(file):
    path = file("rate: 1\n  target: : x")
    (mistake,) = read("--scenario", path)[1]
    assert mistake.startswith(f"--scenario {path}: line 2:")


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefg")
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (ALIASES + "rate: *g", "{path}: rate [[[[["),
        ("rate: &a [*a]", "{path}: rate [[[[["),
        ("rate: " + "[" * 600, "--scenario {path}: is nested too deeply."),
        ("rate: " + "9" * 9000, "--scenario {path}: Exceeds the limit (4300 digits)"),
        ("#" * 100_001, "--scenario {path}: has more than 100,000 characters"),
        ("rate: " + "x" * 9000, "{path}: rate " + "x" * 119 + "…: must be requests a second"),
        ('rate: "\\e[2J\\nfake"', "{path}: rate \\x1b[2J\\nfake: must be requests a second"),
        ('"\\e[2J": 1', "{path}: \\x1b[2J: is not a field"),
    ],
    ids=["aliases", "recursive", "nested", "digits", "large", "long", "control characters", "name"],
)
def test_a_hostile_file_is_told_in_few_words_without_control_characters(file, text, line):
    path = file(text)
    _, mistakes = read("classifier", "--scenario", path)
    assert any(mistake.startswith(line.format(path=path)) for mistake in mistakes), [m[:200] for m in mistakes]
    assert all(len(mistake) < 500 and mistake.isprintable() for mistake in mistakes)


def test_a_device_without_end_is_no_scenario():
    assert "has more than 100,000 characters" in read("lm", "--scenario", "/dev/zero")[1][0]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--header", "Authorization Bearer s3cret"], "--header[0]: must be 'Name: value'."),
        (["--url", "ftp://me:s3cret@host/x"], "--url ftp://host/x: must be http://HOST:PORT/PATH"),
        (["--url", "http://me:s3/cret@host:99999/x"], "--url http://host:99999/x: must be http://HOST:PORT/PATH"),
        (["--url", "me:s3cret@host"], "--url host: must be http://HOST:PORT/PATH"),
    ],
)
def test_a_mistake_does_not_tell_a_secret(words, line):
    (mistake,) = read("lm", *words)[1]
    assert mistake.startswith(line)


def test_each_field_is_a_flag():
    help_text = options.parser().format_help()
    assert "98 the generator was saturated" in " ".join(help_text.split())
    with pytest.raises(SystemExit):
        options.parse(["http", "--help"])


def test_every_field_has_a_text_for_help():
    assert [name for name, field in Scenario.model_fields.items() if name != "target" and not field.description] == []
