"""Checks a running service: the client that `helm test` runs in the release's own image.

Each app has a command of its own, because only the app knows its requests:

    python -m apps.classifier.probe_client health URL
    python -m apps.classifier.probe_client identity URL --name mnist_rf --version v1 [--sha256 …]
    python -m apps.classifier.probe_client prediction URL --manifest models/mnist_rf_v1.json

Exits with 0 and one line that says what was checked, or with 1 and one line that says what differs. Only the standard
library is imported.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 60  # for one answer, which may wait behind others
CONNECT_SECONDS = 15  # for a Service whose routes are still being set up
IDENTITY = ("name", "version", "sha256")

JsonObject = dict[str, Any]
# Sends requests to the service at a URL, checks them against the manifest's probes, and returns the answers.
Predict = Callable[[str, list[JsonObject]], list[JsonObject]]


class DiffersError(Exception):
    """The URL, what was expected and what was received, in one line."""


def health(url: str) -> str:
    """Check that the service is ready."""
    status, answer = _request(f"{url}/healthz")
    if status != 200 or answer.get("status") != "ready":
        raise DiffersError(f"{url}/healthz: 200 and ready expected, {status} and {answer.get('status')!r} came")
    return f"{url} is ready and serves {_named(answer.get('model') or {})}"


def identity(url: str, expected: dict[str, str]) -> str:
    """Check the name, version and sha256 of the model that is served; an empty value is not compared."""
    _, answer = _request(f"{url}/healthz")
    model = answer.get("model") or {}
    if wrong := [key for key, value in expected.items() if value and model.get(key) != value]:
        text = "; ".join(f"{key} {expected[key]!r} expected, {model.get(key)!r} came" for key in wrong)
        raise DiffersError(f"{url}/healthz: {text}")
    return f"{url} serves {_named(model)}"


def prediction(url: str, predict: Predict, manifest_path: Path | None) -> str:
    """Check that requests get the answers that were published as the manifest's probes."""
    manifest: JsonObject = json.loads(manifest_path.read_bytes()) if manifest_path else {}
    answers = predict(url, manifest.get("probes", []))
    versions = [answer["model_version"] for answer in answers]
    if manifest and (wrong := [version for version in versions if version != manifest["version"]]):
        raise DiffersError(f"{url}: model_version {manifest['version']!r} expected, {wrong[0]!r} came")
    return f"{url} answered {len(answers)} requests as published, by version {versions[0]}"


def post(url: str, body: JsonObject) -> JsonObject:
    """Return the JSON that answers `body`; raise DiffersError unless the status is 200."""
    status, answer = _request(url, body)
    if status != 200:
        raise DiffersError(f"{url}: 200 expected, {status} came: {answer.get('detail')}")
    return answer


def _named(model: JsonObject) -> str:
    return " ".join(f"{key} {model.get(key)}" for key in IDENTITY)


def _request(url: str, body: JsonObject | None = None) -> tuple[int, JsonObject]:
    """Return status and JSON of the answer; retry for CONNECT_SECONDS while there is no connection."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")
        except OSError as error:
            if time.monotonic() > deadline:
                raise DiffersError(f"{url}: an answer expected, none came ({error})") from None
            time.sleep(0.5)


def main(predict: Predict, program: str, arguments: list[str] | None = None) -> int:
    """Run the command line of `program`, whose claim `prediction` is checked by `predict`; return the exit status."""
    options = _parser(predict, program).parse_args(arguments)
    try:
        print(options.check(options))
    except DiffersError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"an answer or the manifest has another shape: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser(predict: Predict, program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="Checks a running service.")
    commands = parser.add_subparsers(required=True, metavar="CLAIM")

    def add(check: Callable[..., str], run: Callable[[argparse.Namespace], str]) -> argparse.ArgumentParser:
        command = commands.add_parser(check.__name__, help=check.__doc__, description=check.__doc__)
        command.add_argument("url", help="such as http://127.0.0.1:8000", type=lambda url: url.rstrip("/"))
        command.set_defaults(check=run)
        return command

    add(health, lambda options: health(options.url))
    command = add(identity, lambda options: identity(options.url, {key: getattr(options, key) for key in IDENTITY}))
    for key in IDENTITY:
        command.add_argument(f"--{key}", default="", help="expected; empty: not compared")
    command = add(prediction, lambda options: prediction(options.url, predict, options.manifest))
    command.add_argument("--manifest", type=Path, help="the model's manifest, whose probes are sent")
    return parser
