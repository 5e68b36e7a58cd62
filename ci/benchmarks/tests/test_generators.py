"""The comparison of load generators: what it counts, with a generator that sends a known number of requests."""

import sys

import pytest

from ci.benchmarks import generators
from ci.benchmarks.environments import GoProgram
from ci.benchmarks.generators import Generator
from ci.run import Failed
from loadgen.tests.stub import Stub, answer

SEND = """
import http.client, sys
for _ in range(10 * int(sys.argv[2])):
    connection = http.client.HTTPConnection(sys.argv[1]); connection.request("POST", "/predict", "{{}}")
    assert connection.getresponse().read()
sys.exit(int(sys.argv[3]))
"""


@pytest.fixture
def host():
    posts = 0

    async def handler(request):
        nonlocal posts
        posts += request.head.startswith("POST /predict ")
        request.send(answer(b"%d" % posts))

    with Stub(handler=handler) as stub:
        yield f"http://127.0.0.1:{stub.port}"


def generator(tmp_path, host, status=0):
    words = (sys.executable, "-c", SEND, host.removeprefix("http://"), "{seconds}", str(status))
    return Generator("peer", GoProgram("hey", "github.com/rakyll/hey"), words, tmp_path / "body.json")


def test_figures_are_of_the_difference_between_a_short_and_a_long_run(tmp_path, host, monkeypatch):
    monkeypatch.setattr(generators, "SHORT_SECONDS", 1)
    monkeypatch.setattr(generators, "LONG_SECONDS", 3)
    figures = generators._round(generator(tmp_path, host), host)
    assert figures["rate"] == 10
    assert figures["per_cpu_second"] != 0 and figures["memory_megabytes"] > 1


def test_generator_that_fails_is_told_with_its_status(tmp_path, host):
    with pytest.raises(Failed, match="peer ended with 3"):
        generators._run(generator(tmp_path, host, 3), host, 1)


@pytest.mark.parametrize("program", [("hey", "github.com/rakyll/hey"), ("vegeta", "github.com/tsenart/vegeta/v12")])
def test_version_of_a_go_program_is_that_of_its_module(program):
    (version,) = GoProgram(*program).versions().values()
    assert version.startswith("v") and version.count(".") == 2
