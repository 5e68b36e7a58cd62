"""The commands in the READMEs are right as far as they can be checked here: programs, options, files and versions.

What needs a cluster is run by ci/e2e; requests to the services are run by test_readme_requests.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from itertools import pairwise, takewhile
from pathlib import Path

import pytest

from ci.cache import CHECKOUT
from ci.tests import readme
from ci.tools import build

COMMANDS = [command for document in readme.documents() for command in readme.commands(document)]
OUR_MODULES = {"apps", "training", "loadgen", "models"}
SUBCOMMANDS = {
    "helm": {"install", "upgrade", "rollback", "test", "history", "template", "uninstall", "list", "get"},
    "helmfile": {"apply", "diff", "test", "destroy", "sync", "template"},
    "kubectl": {
        *("apply", "config", "create", "delete", "describe", "exec"),
        *("get", "logs", "port-forward", "rollout", "top", "wait"),
    },
}
KUBECTL_GROUPS = {"config", "create", "rollout", "top"}  # their subcommands have different options
# Commands to a cluster that ci/e2e does not run.
NOT_IN_E2E = {
    "kubectl get": "it changes nothing, and ci/e2e gets the same objects as JSON",
    "kubectl port-forward": "the local cluster has ports of its own",
    "kubectl apply": "ci/chart/tests/test_chart_installers.py checks what it would send",
    "kubectl exec": "it changes nothing",
    "kubectl config": "it changes nothing",
    "kubectl logs": "it changes nothing",
    "kubectl describe": "it changes nothing",
    "helm install": "ci/e2e installs with `helm upgrade --install`",
    "helm history": "it changes nothing",
    "helm list": "it changes nothing",
    "helm get": "it changes nothing",
}
# Programs whose commands are not checked.
UNCHECKED = {
    "minikube": "does not run where this is developed: it needs docker or a hypervisor",
    "kind": "does not run where this is developed: it needs docker",
    "pwd": "a shell's own",
    "git": "everyone has it",
    "cd": "a shell's own",
    "eval": "a shell's own, with the output of a command that is checked",
    "export": "a shell's own",
    "printf": "a shell's own",
    "source": "a shell's own",
    ".": "a shell's own",
    "sudo": "everyone has it",
    "apt-get": "a Debian machine has it",
    "tail": "everyone has it",
    "grep": "everyone has it",
    "substituted": "the output of a command that is checked",
}
# As in a README, with output, a comment, a quotation of two lines, and blocks that are not commands.
DOCUMENT = """```console
$ curl -s \\
    http://x  # a comment
{"a": 1}
$ A=1 ci/up && helm test "$(ci/env x)"
```
```
a drawing --> of something
```
```
python ──► a drawing
```
```yaml
key: value
```
```sh
# a comment
ls -l '
 two lines'
```
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_names_programs_options_and_files_that_exist(command: readme.Command):
    for words in readme.simple_commands(command.text):
        words = words[1:] if words[0] == "watch" else words
        check = CHECKS.get("ci/" if words[0].startswith("ci/") else words[0])
        assert check or words[0] in UNCHECKED, f"{words[0]}: add it to CHECKS, or to UNCHECKED with the reason"
        check_files(words)
        if check:
            check(words)


def test_the_top_readme_has_commands_of_every_kind():
    programs = {words[0] for command in COMMANDS for words in readme.simple_commands(command.text)}
    assert {"ci/up", "ci/test", "python", "curl", "helmfile", "helm", "kubectl", "sed"} <= programs


def test_each_edit_by_sed_changes_its_file(tmp_path):
    for command in COMMANDS:
        for words in readme.simple_commands(command.text):
            if words[:2] == ["sed", "-i"]:
                expression, name = words[2:]
                copy = tmp_path / name
                if not copy.exists():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(CHECKOUT / name, copy)
                before = copy.read_text()
                subprocess.run(["sed", "--in-place", expression, copy], check=True)
                assert copy.read_text() != before, f"{command} changes nothing"


def test_blocks_are_split_into_commands_and_output(tmp_path):
    document = tmp_path / "README.md"
    document.write_text(DOCUMENT)
    commands = readme.commands(document)
    assert [(command.line, command.text, command.output) for command in commands] == [
        (2, "curl -s http://x  # a comment", '{"a": 1}\n'),
        (5, 'A=1 ci/up && helm test "$(ci/env x)"', ""),
        (18, "ls -l '\n two lines'", ""),
    ]
    assert readme.simple_commands(commands[0].text) == [["curl", "-s", "http://x"]]
    assert readme.simple_commands(commands[1].text) == [["ci/up"], ["helm", "test", "substituted"], ["ci/env", "x"]]


@pytest.mark.parametrize(
    "text",
    [
        "ci/nothing",
        "ci/up --no-such-option",
        pytest.param("ci/test no-such-lane", marks=pytest.mark.slow),
        "python -m training classifier --no-such-option 1",
        "python -m training no-such-command",
        "python -m no_such_module",
        "python -c 'print('",
        "helm upgrade x charts/inference-service --no-such-option",
        "helm install x charts/no-such-chart",
        pytest.param("helmfile apply --no-such-option", marks=pytest.mark.slow),
        pytest.param("kubectl get pods --no-such-option", marks=pytest.mark.slow),
        "kubectl no-such-command",
        "curl --no-such-option http://127.0.0.1",
        "docker build -f apps/Dockerfile --build-arg NO_SUCH=1 .",
        "pip install '.[no-such-extra]'",
        "no-such-program",
    ],
)
def test_a_wrong_command_is_noticed(text: str):
    with pytest.raises(AssertionError):
        test_a_command_names_programs_options_and_files_that_exist(readme.Command(CHECKOUT / "README.md", 1, text))


def check_files(words: Sequence[str]) -> None:
    for word in words:
        for name in re.findall(r"(?:^|[@=,])((?:apps|charts|ci|loadgen|training)/[\w./-]+)", word):
            assert (CHECKOUT / name).exists(), f"{name} does not exist"


def check_python(words: Sequence[str]) -> None:
    if words[1] == "-c":
        try:
            compile(words[2], "python -c", "exec")
        except SyntaxError as error:
            raise AssertionError(words[2]) from error
    elif words[1:3] != ["-m", "venv"]:
        assert words[1] == "-m" and words[2].partition(".")[0] in OUR_MODULES, words
        check_options([sys.executable, "-m", words[2], *_before_options(words[3:])], words[3:])


def check_ci(words: Sequence[str]) -> None:
    assert os.access(CHECKOUT / words[0], os.X_OK), f"{words[0]} is not a program"
    if words[1:]:  # not all of them have a help
        text = check_options([str(CHECKOUT / words[0])], words[1:])
        for word in _before_options(words[1:]):
            assert (CHECKOUT / word).exists() or re.search(rf"\b{word}\b", text), f"{words[0]} does not know {word}"


def check_cluster(words: Sequence[str]) -> None:
    program = words[0]
    words = list(takewhile(lambda word: word != "--", words))  # later words are for another program
    name = next((word for word in words if word in SUBCOMMANDS[program]), None)
    assert name, f"{' '.join(words)}: its subcommand is not known"
    folders = [str(build.folder(module)) for module in ("helm", "kube")]
    path = shutil.which(program, path=os.pathsep.join([*folders, os.environ["PATH"]]))
    if not path:
        pytest.skip(f"{program} is not built: ci/up or ci/test chart does")
    group = words[words.index(name) :][:2] if name in KUBECTL_GROUPS and program == "kubectl" else [name]
    check_options([path, *group], words[1:], help_text(path, "options") if program == "kubectl" else "")
    if f"{program} {name}" not in NOT_IN_E2E:
        tests = "".join(file.read_text() for file in (CHECKOUT / "ci/e2e").rglob("*.py"))
        assert f'"{name}"' in tests, f"ci/e2e does not run {program} {name}: say why in NOT_IN_E2E"


def check_curl(words: Sequence[str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    curl_help = help_text("curl", "--help", "all")
    for option in _options(words[1:]):
        names = [option] if option.startswith("--") else [f"-{letter}" for letter in option[1:]]
        for name in names:
            assert _is_in(name, curl_help), f"curl does not know {name}"


def check_docker(words: Sequence[str]) -> None:
    if words[1] != "build":
        return
    recipe = (CHECKOUT / words[words.index("-f") + 1]).read_text()
    for option, value in pairwise(words):
        if option == "--build-arg":
            assert re.search(rf"^ARG {value.partition('=')[0]}\b", recipe, re.MULTILINE), f"no ARG for {value}"


def check_pip(words: Sequence[str]) -> None:
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra_names in re.findall(r"\.\[(.*?)\]", " ".join(words)):
        assert set(extra_names.split(",")) <= set(extras), extra_names


def check_options(command: Sequence[str], words: Sequence[str], more_help: str = "") -> str:
    """Fail unless the help of `command` names each option in `words`; return the help."""
    text = help_text(*command, "--help") + more_help
    for option in _options(words):
        assert _is_in(option, text), f"{' '.join(command)} does not know {option}"
    return text


@functools.cache
def help_text(*command: str) -> str:
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)} ends with {done.returncode}: {done.stderr}"
    return done.stdout + done.stderr


def _options(words: Sequence[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]


def _before_options(words: Sequence[str]) -> list[str]:
    end = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    return list(words[:end])


def _is_in(option: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


def check_sed(words: Sequence[str]) -> None:
    assert words[1] == "-i" and Path(CHECKOUT / words[3]).exists(), words


CHECKS: dict[str, Callable[[Sequence[str]], None]] = {
    "ci/": check_ci,
    "curl": check_curl,
    "docker": check_docker,
    "helm": check_cluster,
    "helmfile": check_cluster,
    "kubectl": check_cluster,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    "sed": check_sed,
}
