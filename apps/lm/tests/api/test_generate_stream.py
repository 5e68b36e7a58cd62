"""POST /generate with `stream`: pieces join to the whole answer, and errors before the first piece are responses."""

import json

import pytest
from jsonschema import Draft202012Validator

from apps.lm.tests import tiny
from apps.lm.tests.conftest import serving


def stream(client, **body) -> list[dict]:
    """The data of the events of a streamed answer, with the event's name if it has one."""
    answer = client.post("/generate", json={"stream": True} | body)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        events.append(json.loads(fields["data"]) | ({"event": fields["event"]} if "event" in fields else {}))
    return events


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_pieces_join_to_the_whole_answer(folders, family):
    body = {"prompt": "once 😀", "max_new_tokens": 30}
    with serving(folders[family], max_total_tokens=tiny.CONTEXT) as client:
        *pieces, last = stream(client, **body)
        whole = client.post("/generate", json=body).json()
    assert len(pieces) > 2
    assert "".join(piece["text"] for piece in pieces) == last["generated_text"] == whole["generated_text"]
    assert last.keys() == whole.keys()
    assert (last["usage"], last["finish_reason"]) == (whole["usage"], whole["finish_reason"])


def test_each_event_and_error_is_documented(client):
    responses = client.get("/openapi.json").json()["paths"]["/generate"]["post"]["responses"]
    data = responses["200"]["content"]["text/event-stream"]["itemSchema"]["properties"]["data"]
    event = Draft202012Validator(data["contentSchema"])
    for content in stream(client, prompt="the fox", max_new_tokens=5):
        event.validate(content)
    assert not event.is_valid({"text": "without usage"})
    assert {"413", "415", "422", "503", "504"} <= set(responses)
    assert "Retry-After" in responses["503"]["headers"]


def test_no_part_of_a_stop_sequence_is_streamed(client):
    whole = stream(client, prompt="the fox", max_new_tokens=20)[-1]["generated_text"]
    *pieces, last = stream(client, prompt="the fox", max_new_tokens=20, stop=whole[4:7])
    assert "".join(piece["text"] for piece in pieces) == whole[: whole.index(whole[4:7])]
    assert last["finish_reason"] == "stop"


def test_an_answer_without_text_is_one_event(client):
    whole = stream(client, prompt="the fox", max_new_tokens=20)[-1]["generated_text"]
    (last,) = stream(client, prompt="the fox", max_new_tokens=20, stop=whole[0])
    assert last["generated_text"] == ""


def test_a_wrong_request_is_an_ordinary_error(client):
    answer = client.post("/generate", json={"prompt": "the fox" * 20, "stream": True})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_deadline_before_the_first_piece_is_a_504(folders):
    with serving(folders["gpt2"], request_timeout_seconds=0.05, artificial_cpu_sec=0.3) as client:
        assert client.post("/generate", json={"prompt": "the fox", "stream": True}).status_code == 504


@pytest.mark.slow
def test_a_deadline_in_the_middle_ends_the_stream_with_what_it_has(tmp_path):
    folder = tiny.publish(tiny.save("llama", tmp_path / "endless_v1", context=8192))
    with serving(folder, max_total_tokens=8192, request_timeout_seconds=3) as client:
        *pieces, last = stream(client, prompt="the fox", max_new_tokens=8192)
    assert len(pieces) > 2
    assert (last["finish_reason"], last["stop_reason"]) == ("length", "deadline")
    assert last["generated_text"] == "".join(piece["text"] for piece in pieces)
    assert 2.7 <= last["timings"]["total_seconds"] < 3
