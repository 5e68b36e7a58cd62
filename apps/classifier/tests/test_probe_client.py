"""What helm test sends to a classifier, and that it needs only the standard library."""

import subprocess
import sys

import pytest

from apps.classifier import probe_client
from apps.serving.probe import DiffersError
from apps.serving.tests.stand_in import answering

PROBE = {"features": [0, 255], "scale": 255, "label": "1", "probabilities": [0.25, 0.75], "note": "not sent"}


@pytest.fixture
def service():
    """A URL, and the requests to it so far; each is answered by 1 with a probability of 0.75."""
    requests = []

    def answer(path, body):
        requests.append((path, body))
        return 200, {"label": "1", "probability": 0.75, "model_version": "v1"}

    with answering(answer) as url:
        yield url, requests


def test_each_probe_is_sent_to_predict(service):
    url, requests = service
    answers = probe_client.classify(url, [PROBE, PROBE])
    assert len(answers) == 2
    assert requests == [("/predict", {"features": [0, 255], "scale": 255})] * 2


def test_a_difference_names_the_probe_and_each_value(service):
    url, _ = service
    with pytest.raises(DiffersError) as error:
        probe_client.classify(url, [PROBE, PROBE | {"label": "0", "probabilities": [0.5, 0.5]}])
    expected = "label '0' expected, '1' came; probability 0.5 expected, 0.75 came"
    assert str(error.value) == f"{url}/predict, probe 1: {expected}"


def test_the_probe_of_a_regressor_is_compared_by_its_value():
    with answering(lambda path, body: (200, {"value": 1.5, "model_version": "v1"})) as url:
        assert len(probe_client.classify(url, [{"features": [None, "red"], "value": 1.5}])) == 1
        with pytest.raises(DiffersError, match=r"probe 0: value 1\.25 expected, 1\.5 came"):
            probe_client.classify(url, [{"features": [None, "red"], "value": 1.25}])


def test_a_manifest_without_probes_is_refused(service):
    url, requests = service
    with pytest.raises(DiffersError, match=r"There are no probes to send\. Give a manifest that has some"):
        probe_client.classify(url, [])
    assert requests == []


def test_it_imports_only_the_standard_library():
    command = [sys.executable, "-S", "-m", "apps.classifier.probe_client", "--help"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.startswith(b"usage: python -m apps.class")
