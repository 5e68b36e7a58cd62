"""`query`: draws an image and reports whether its prediction is right."""

import numpy as np
import pytest

from loadgen.commands.cli import main
from loadgen.terminal.digit import draw
from loadgen.tests.stub import answering


@pytest.fixture
def query(stub, capsys):
    def command(index):
        status = main(["query", "--url", stub.url, "--sample-index", str(index)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_right_prediction_is_shown_with_its_top_three_and_the_pod(query, stub):
    status, out, _ = query(14)
    assert status == 0
    assert out.startswith("image 14 of 20, label 4\n")
    *_, prediction, first, second, third, model = out.splitlines()
    assert prediction == "prediction   4, right"
    scores = [tuple(line.split()[:2]) for line in (first, second, third)]
    assert scores == [("4", "87.5%"), ("9", "10.0%"), ("7", "2.5%")]
    assert model.startswith("model        v1, on pod-a, in ")
    assert stub.bodies[0]["features"][0] == pytest.approx(14 / 255)


def test_wrong_prediction_is_reported_as_wrong_and_exits_0(query):
    status, out, _ = query(0)
    assert status == 0
    assert "prediction   4, wrong: the label is 0\n" in out


def test_failed_query_exits_1_with_the_reason(query, stub):
    stub.handler = answering({"title": "Service Unavailable"}, 503)
    status, _, err = query(3)
    assert status == 1
    assert "HTTP 503: Service Unavailable" in err


def test_digit_is_drawn_with_two_pixel_rows_per_line():
    image = np.zeros((28, 28), np.uint8)
    image[0, 0], image[1, 1], image[2:4, 2], image[27, 27] = 255, 255, 255, 40
    lines = [line[2:].rstrip() for line in draw(image.reshape(784)).splitlines()]
    assert lines == ["▀▄", "  █", *[""] * 12]
