"""The requests in the READMEs, as written except for the port and the duration, are answered as printed there.

The services serve the models in models/ if they are trained. Otherwise they serve small models of the tests, and only
the names in a printed answer are compared.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.lm.tests import process
from apps.serving.tests.processes import running
from ci.cache import CACHE, CHECKOUT
from ci.tests import readme

# Ports of the local cluster and of the services without a cluster -> the service.
PORTS = {"30080": "classifier", "8000": "classifier", "30081": "lm", "8100": "lm"}
ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):(\d+)")
TRAINED = {"classifier": "mnist_rf_v1.joblib", "lm": "smollm2-135m-instruct_v1"}
IMAGES = CACHE / "mnist"
LOADGEN_SERVICE = {"classifier": "classifier", "query": "classifier", "lm": "lm"}
SATURATED = 98
TOLERANCE = 0.001  # printed numbers may be rounded


def service_of(command: readme.Command) -> str | None:
    """Return the service that a command sends requests to, if it is one that ends by itself."""
    for words in readme.simple_commands(command.text):
        if words[:3] == ["python", "-m", "loadgen"] and "--help" not in words:
            if "--rows" in words:  # for a model of that table, which ci/e2e/test_third_model.py serves
                return None
            return LOADGEN_SERVICE.get(words[3])
        if words[0] == "curl" and (address := ADDRESS.search(command.text)):
            return PORTS.get(address[1])
    return None


REQUESTS = [
    (command, service)
    for document in readme.documents()
    for command in readme.commands(document)
    if (service := service_of(command))
]


@pytest.fixture(scope="module")
def urls(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Both services, each on a port of its own: name -> URL."""
    models = {service: CHECKOUT / "models" / name for service, name in TRAINED.items()}
    folder = tmp_path_factory.mktemp("models")
    if not models["classifier"].exists():
        from apps.classifier.tests import forests  # imports scikit-learn, which takes seconds

        models["classifier"] = forests.publish(forests.digits_forest(), folder / "tiny_v1.joblib")
    if not models["lm"].exists():
        from apps.lm.tests import tiny  # imports torch, which takes seconds

        models["lm"] = tiny.publish(tiny.save("llama", folder / "smollm2-135m-instruct_v1", context=256))
    with (
        running("apps.classifier", MODEL_PATH=models["classifier"]) as classifier,
        process.serving(model_name=models["lm"]) as lm,
    ):
        yield {"classifier": classifier.url, "lm": lm.url}


@pytest.mark.service
@pytest.mark.parametrize(("command", "service"), REQUESTS, ids=[str(command) for command, _ in REQUESTS])
def test_a_request_succeeds_and_prints_the_documented_answer(command: readme.Command, service: str, urls, tmp_path):
    text = with_port(command.text, urls)
    if "curl" in text and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    if "loadgen" in text:
        if service == "classifier" and not IMAGES.exists():
            pytest.skip("MNIST is not in the cache: ci/up or python -m training data downloads it")
        if "--url" not in text:
            path = "/generate" if service == "lm" else "/predict"
            text = re.sub(r"(-m loadgen \w+)", rf"\1 --url {urls[service]}{path}", text)
        text = re.sub(r"(--duration-seconds) \d+", r"\1 1", text)
    (tmp_path / ".curlrc").write_text("fail-with-body\nmax-time = 60\n")
    environment = {"CURL_HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"CLASSIFIER": urls["classifier"], "LM": urls["lm"]}  # which README asks minikube for
    done = subprocess.run(
        ["bash", "-c", text.removesuffix("&")],
        cwd=CHECKOUT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    # A busy machine sends late, which the load generator tells by its own exit status.
    allowed = (0, SATURATED) if "loadgen" in text else (0,)
    assert done.returncode in allowed, f"{text}\n{done.stdout}{done.stderr}"
    assert done.stdout
    if command.output:
        assert_as_printed(command.output, done.stdout, (CHECKOUT / "models" / TRAINED[service]).exists())


def with_port(text: str, urls: dict[str, str]) -> str:
    return ADDRESS.sub(lambda address: urls[PORTS[address[1]]].removeprefix("http://"), text)


def assert_as_printed(printed: str, answer: str, values: bool) -> None:
    """Compare names and (if `values`) values; an ellipsis in the printed text stands for anything."""
    if not re.search(r"…|\.\.\.", printed):
        try:
            pair = json.loads(printed), json.loads(answer)
        except ValueError:
            pass
        else:
            assert same(*pair, values), f"printed: {printed}\nanswered: {answer}"
            return
    if values:
        pattern = r"\s+".join(re.escape(word).replace("…", ".*").replace(r"\.\.\.", ".*") for word in printed.split())
        assert re.search(pattern, answer, re.DOTALL), f"printed: {printed}\nanswered: {answer}"


def same(printed: object, answer: object, values: bool) -> bool:
    if isinstance(printed, dict) and isinstance(answer, dict):
        return list(printed) == list(answer) and all(same(printed[key], answer[key], values) for key in printed)
    if isinstance(printed, list) and isinstance(answer, list):
        return (len(printed) == len(answer) or not values) and all(map(same, printed, answer, [values] * len(printed)))
    if isinstance(printed, float) and isinstance(answer, float):
        return not values or abs(printed - answer) <= TOLERANCE
    return printed == answer or not values


def test_printed_answers_are_compared():
    assert_as_printed('{"label": "7", "probability": 0.885}', '{"label":"7","probability":0.8854}', True)
    assert_as_printed('{"label": "7", "probability": 0.885}', '{"label":"1","probability":0.1}', False)
    assert_as_printed('{"label": "7", …}', '{"label": "7", "probability": 0.1}', True)
    for printed, values in [('{"label": "8"}', True), ('{"name": "7"}', False), ('{"label": "8" …}', True)]:
        with pytest.raises(AssertionError):
            assert_as_printed(printed, '{"label": "7"}', values)


def test_there_are_requests_to_both_services():
    assert {"classifier", "lm"} == {service for command, service in REQUESTS if "curl" in command.text}
