"""Asks a running service whether it keeps its promises: the client that `helm test` runs in the release's own image.

    python -m apps.serving.probe health URL
    python -m apps.serving.probe identity URL --name mnist_rf --version v1 [--sha256 …]
    python -m apps.serving.probe prediction URL --app classifier --manifest models/mnist_rf_v1.json

Ends 0 with a line of what was seen, or 1 with a line of what differs. Only the standard library is imported.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 60  # for one answer, which may wait behind others
CONNECT_SECONDS = 15  # for a Service whose routes are still being set up
MARGIN = 0.01  # between a language model's two best tokens; below it another machine may choose the other
PLAIN = {"prompt": "Once upon a time", "max_new_tokens": 8}


class DiffersError(Exception):
    """What was asked, what was expected, what came: one line."""


def health(url: str) -> str:
    """The service is ready."""
    status, answer = _ask(f"{url}/healthz")
    if status != 200 or answer.get("status") != "ready":
        raise DiffersError(f"{url}/healthz: 200 and ready expected, {status} and {answer.get('status')!r} came")
    return f"{url} is ready and serves {_named(answer.get('model') or {})}"


def identity(url: str, expected: dict[str, str]) -> str:
    """The model that is served has the expected name, version and sha256; an empty one is not compared."""
    _, answer = _ask(f"{url}/healthz")
    model = answer.get("model") or {}
    if wrong := [key for key, value in expected.items() if value and model.get(key) != value]:
        text = "; ".join(f"{key} {expected[key]!r} expected, {model.get(key)!r} came" for key in wrong)
        raise DiffersError(f"{url}/healthz: {text}")
    return f"{url} serves {_named(model)}"


def prediction(url: str, app: str, manifest: dict[str, Any]) -> str:
    """Real requests get the answers that the manifest's probes promise."""
    seen = (_classified if app == "classifier" else _generated)(url, manifest.get("probes", []))
    for answer in seen:
        if manifest and answer["model_version"] != manifest["version"]:
            came = answer["model_version"]
            raise DiffersError(f"{url}: model_version {manifest['version']!r} expected, {came!r} came")
    return f"{url} answered {len(seen)} requests as published, by version {seen[0]['model_version']}"


def _classified(url: str, probes: list[dict]) -> list[dict]:
    answers = []
    if not probes:
        raise DiffersError("the manifest has no probes to ask; give one that has with --manifest")
    for number, probe in enumerate(probes):
        request = {key: probe[key] for key in ("features", "scale") if key in probe}
        answer = _post(f"{url}/predict", request)
        expected = {"label": probe["label"], "probability": max(probe["probabilities"])}
        if differing := [key for key, value in expected.items() if answer[key] != value]:
            text = "; ".join(f"{key} {expected[key]!r} expected, {answer[key]!r} came" for key in differing)
            raise DiffersError(f"{url}/predict, probe {number}: {text}")
        answers.append(answer)
    return answers


def _generated(url: str, probes: list[dict]) -> list[dict]:
    probe = probes[0] if probes else PLAIN
    answer = _post(f"{url}/generate", {key: probe[key] for key in ("prompt", "max_new_tokens")})
    if not answer["usage"]["completion_tokens"]:
        raise DiffersError(f"{url}/generate: an answer expected, no token came")
    text = answer["generated_text"]
    if probe.get("min_margin", 0) >= MARGIN and text != probe["generated_text"]:
        raise DiffersError(f"{url}/generate: {probe['generated_text']!r} expected, {text!r} came")
    return [answer]


def _named(model: dict) -> str:
    return " ".join(f"{key} {model.get(key)}" for key in ("name", "version", "sha256"))


def _post(url: str, request: dict) -> dict:
    status, answer = _ask(url, request)
    if status != 200:
        raise DiffersError(f"{url}: 200 expected, {status} came: {answer.get('detail')}")
    return answer


def _ask(url: str, request: dict | None = None) -> tuple[int, dict]:
    """Return status and JSON of the answer; a connection that is refused is tried again for a while."""
    body = None if request is None else json.dumps(request).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    give_up = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, json.loads(answer.read() or b"{}")
        except OSError as error:
            if time.monotonic() > give_up:
                raise DiffersError(f"{url}: an answer expected, none came ({error})") from None
            time.sleep(0.5)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m apps.serving.probe", description="Checks a running service.")
    claims = parser.add_subparsers(dest="claim", required=True)
    commands = {claim.__name__: claims.add_parser(claim.__name__, help=claim.__doc__) for claim in CLAIMS}
    for command in commands.values():
        command.add_argument("url", help="such as http://127.0.0.1:8000", type=lambda url: url.rstrip("/"))
    for key in ("name", "version", "sha256"):
        commands["identity"].add_argument(f"--{key}", default="", help="expected; empty: not compared")
    commands["prediction"].add_argument("--app", choices=("classifier", "lm"), required=True)
    commands["prediction"].add_argument("--manifest", type=Path, help="whose probes are asked; lm: may be absent")
    try:
        print(_run(parser.parse_args(arguments)))
    except DiffersError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, TypeError) as error:  # an answer or a manifest of another shape
        print(f"not what a service or its manifest holds: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


CLAIMS = (health, identity, prediction)


def _run(options: argparse.Namespace) -> str:
    if options.claim == "identity":
        return identity(options.url, {key: getattr(options, key) for key in ("name", "version", "sha256")})
    if options.claim == "prediction":
        manifest = json.loads(options.manifest.read_bytes()) if options.manifest else {}
        return prediction(options.url, options.app, manifest)
    return health(options.url)


if __name__ == "__main__":
    sys.exit(main())
