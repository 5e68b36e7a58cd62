"""Several prompts in one request, several answers to each, and prompts as token ids."""

from typing import Any

import pytest

from apps.lm.tests import tiny
from apps.lm.tests.api.test_openai import events, post
from apps.lm.tests.conftest import runtime_in, serving

PROMPTS = ["the fox", "once upon", "a dog", "the quick brown"]
PATH = "/v1/completions"


def texts(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    choices = answer.json()["choices"]
    assert [choice["index"] for choice in choices] == list(range(len(choices)))
    return [choice["text"] for choice in choices]


def alone(client, prompt, **body) -> str:
    return texts(post(client, PATH, prompt=prompt, **body))[0]


def test_each_prompt_of_a_list_gets_its_answer_in_order(client):
    answer = post(client, PATH, prompt=PROMPTS)
    assert texts(answer) == [alone(client, prompt) for prompt in PROMPTS]
    each = [post(client, PATH, prompt=prompt).json()["usage"] for prompt in PROMPTS]
    assert answer.json()["usage"] == {name: sum(usage[name] for usage in each) for name in each[0]}


def test_token_ids_are_a_prompt_alone_and_in_lists(client):
    tokens = [runtime_in(client).model.tokenizer.encode(prompt) for prompt in PROMPTS]
    expected = [alone(client, prompt) for prompt in PROMPTS]
    assert [alone(client, ids) for ids in tokens] == expected
    assert texts(post(client, PATH, prompt=tokens)) == expected
    assert texts(post(client, PATH, prompt=[tokens[0], PROMPTS[1]])) == expected[:2]


@pytest.mark.slow
def test_more_prompts_than_fit_in_the_batch_are_all_answered(client):
    prompts = PROMPTS * 16
    assert texts(post(client, PATH, prompt=prompts)) == [alone(client, prompt) for prompt in PROMPTS] * 16


def test_answers_to_one_prompt_differ_by_their_seed_and_repeat(client):
    body = {"temperature": 1.5, "seed": 7, "max_tokens": 12}
    first, again = (texts(post(client, PATH, n=3, **body)) for _ in range(2))
    assert first == again
    assert len(set(first)) == 3
    assert first[0] == alone(client, "the fox", **body)
    assert texts(post(client, PATH, n=2)) == [alone(client, "the fox")] * 2, "greedy"
    usage = post(client, PATH, n=3, **body | {"ignore_eos": True}).json()["usage"]
    assert usage == {"prompt_tokens": 2, "completion_tokens": 36, "total_tokens": 38}, "the prompt counts once"


def test_several_prompts_with_several_answers_are_sorted_by_prompt(client):
    body = {"temperature": 1.5, "seed": 7}
    expected = [text for prompt in PROMPTS[:2] for text in texts(post(client, PATH, prompt=prompt, n=2, **body))]
    assert texts(post(client, PATH, prompt=PROMPTS[:2], n=2, **body)) == expected


def test_the_best_answers_are_those_with_the_likeliest_tokens(client):
    body = {"temperature": 2, "seed": 3, "max_tokens": 8, "logprobs": 0}
    choices = post(client, PATH, n=6, **body).json()["choices"]

    def mean(choice) -> float:
        logprobs = choice["logprobs"]["token_logprobs"]
        return sum(logprobs) / len(logprobs)

    likeliest = sorted(choices, key=mean, reverse=True)
    answer = post(client, PATH, n=2, best_of=6, **body)
    assert texts(answer) == [choice["text"] for choice in likeliest[:2]]
    without = post(client, PATH, n=2, best_of=6, **body | {"logprobs": None})
    assert texts(without) == texts(answer)
    assert without.json()["choices"][0]["logprobs"] is None


def test_a_chat_has_several_answers(client):
    body = {"temperature": 1.5, "seed": 7}
    choices = post(client, "/v1/chat/completions", n=3, **body).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3


def test_a_stream_has_the_pieces_of_every_answer_and_ends_each(client):
    usage = {"include_usage": True}
    whole = post(client, PATH, prompt=PROMPTS)
    *chunks, last = events(post(client, PATH, prompt=PROMPTS, stream=True, stream_options=usage))
    assert (last["choices"], last["usage"]) == ([], whole.json()["usage"])
    choices = [chunk["choices"][0] for chunk in chunks]
    for index, text in enumerate(texts(whole)):
        own = [choice for choice in choices if choice["index"] == index]
        assert "".join(choice["text"] for choice in own) == text
        assert [choice["finish_reason"] for choice in own] == [None] * (len(own) - 1) + ["length"]


def test_a_streamed_chat_gives_each_answer_its_role(client):
    choices = [c["choices"][0] for c in events(post(client, "/v1/chat/completions", n=2, stream=True))]
    for index in range(2):
        roles = [choice["delta"].get("role") for choice in choices if choice["index"] == index]
        assert roles == ["assistant"] + [None] * (len(roles) - 1)


def test_echo_repeats_the_prompt_before_each_answer(client):
    answer = post(client, PATH, prompt=PROMPTS, echo=True)
    assert texts(answer) == [prompt + alone(client, prompt) for prompt in PROMPTS]
    chunks = events(post(client, PATH, echo=True, stream=True))
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == texts(answer)[0]


@pytest.mark.parametrize(
    ("body", "param", "rule"),
    [
        ({"prompt": []}, "prompt", "is not a text, a list of token ids, or a list of such prompts, none of them empty"),
        ({"prompt": ["a", ""]}, "prompt", "is not a text"),
        ({"prompt": [1, "a"]}, "prompt", "is not a text"),
        ({"prompt": [-1]}, "prompt", "is not a text"),
        ({"prompt": [[]]}, "prompt", "is not a text"),
        ({"prompt": [True]}, "prompt", "is not a text"),
        ({"prompt": ["a"] * 129}, "prompt", "asks for 129 answers; ask for up to 128 in a request"),
        ({"prompt": ["a"] * 65, "n": 2}, "prompt", "asks for 130 answers"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"n": 129}, "n", "less than or equal to 128"),
        ({"n": 3, "best_of": 2}, "best_of", "(2) is less than n (3)"),
        ({"best_of": 2, "stream": True}, "best_of", "cannot be streamed unless it is n"),
        ({"max_tokens": 0}, "max_tokens", "is 0, which needs echo"),
        ({"logprobs": 21}, "logprobs", "less than or equal to 20"),
        ({"prompt": [1, 999]}, "prompt", "has the token 999; 'tiny-gpt2' has 0 to "),
        ({"prompt": [[1], list(range(40))]}, "prompt", "The prompt is too long: it has 40 tokens"),
    ],
)
def test_a_wrong_request_is_a_400_that_names_the_parameter_and_the_rule(client, body, param, rule):
    answer = post(client, PATH, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert rule in error["message"]


@pytest.mark.slow
def test_a_request_is_bounded_in_the_log_probabilities_that_it_reports(client):
    prompts = [[1] * 39] * 128
    assert post(client, PATH, prompt=prompts, echo=True, logprobs=1, max_tokens=0).status_code == 200
    error = post(client, PATH, prompt=prompts, echo=True, logprobs=20, max_tokens=24).json()["error"]
    assert (error["param"], error["code"]) == ("logprobs", "too_many_logprobs")
    assert error["message"] == (
        f"#/logprobs: asks for up to {128 * (39 + 24) * 21} log-probabilities; ask for up to 131072 in a request."
    )


def test_likeliest_tokens_need_log_probabilities(client):
    error = post(client, "/v1/chat/completions", top_logprobs=2).json()["error"]
    assert (error["param"], error["message"]) == ("top_logprobs", "#/top_logprobs: needs logprobs: true.")


@pytest.mark.slow
def test_prompts_of_a_request_that_computes_wait_however_many_others_do(folders):
    """Refusing one of them would waste the answers to the others."""
    with serving(folders["gpt2"], max_in_flight=4, max_queue=0, max_total_tokens=tiny.CONTEXT) as client:
        assert len(texts(post(client, PATH, prompt=PROMPTS * 4, max_tokens=8))) == 16


@pytest.mark.slow
def test_one_request_leaves_half_of_the_places_to_others(folders, monkeypatch):
    with serving(folders["gpt2"], max_in_flight=4, max_total_tokens=tiny.CONTEXT) as client:
        admission, computing = runtime_in(client).admission, []
        place = admission.place

        def watched(*arguments, **options):
            computing.append(admission.in_flight + admission.waiting)
            return place(*arguments, **options)

        monkeypatch.setattr(admission, "place", watched)
        assert len(texts(post(client, PATH, prompt=PROMPTS * 4, max_tokens=8))) == 16
    assert max(computing) < 2, "one computes and another joins"


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_answers_without_a_place_before_the_deadline_are_empty_and_the_others_are_kept(folders, stream):
    slow: dict[str, Any] = {"artificial_cpu_sec": 0.3, "request_timeout_seconds": 1.0, "max_in_flight": 2}
    with serving(folders["gpt2"], **slow) as client:
        answer = post(client, PATH, prompt=PROMPTS * 3, stream=stream)
        assert answer.status_code == 200, answer.text
    choices = [chunk["choices"][0] for chunk in events(answer)] if stream else answer.json()["choices"]
    ended = {choice["index"]: choice for choice in choices if choice["finish_reason"]}
    texts = ["".join(choice["text"] for choice in choices if choice["index"] == index) for index in range(12)]
    assert len(ended) == 12
    assert texts[0] != ""
    assert texts[11] == ""
    assert (ended[11]["finish_reason"], ended[11]["stop_reason"]) == ("length", "deadline")
