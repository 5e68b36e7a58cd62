"""The batch on OpenVINO, with a model that shows what it was handed: which tokens are computed together, and when."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from apps.lm.engines.batching import BatchEngine, BatchSequence, EngineError
from apps.lm.engines.openvino.batch import CHUNK, LARGE_CHUNK, MAX_WITH_PROPOSALS, PROPOSALS, OpenVinoBatch
from apps.lm.engines.openvino.chunk import BLOCK
from apps.lm.engines.protocol import GenerationRequest, Logprobs
from apps.lm.tests.engines.openvino.counting_model import CountingModel, Next, plain, repeating, varied
from apps.lm.tests.engines.sequences import sequence

ROWS, BLOCKS, THREADS = 16, 64, 2


def make(next_token: Next = varied, rows: int = ROWS, blocks: int = BLOCKS) -> tuple[OpenVinoBatch, CountingModel]:
    model = CountingModel(blocks, next_token)
    return OpenVinoBatch(model, rows, blocks, THREADS), model


def run(batch: OpenVinoBatch, sequences: Sequence[BatchSequence]) -> None:
    for each in sequences:
        batch.join(each)
    while not all(each.finished for each in sequences):
        batch.step()


def sizes(model: CountingModel) -> list[list[int]]:
    """The tokens of each chunk, per call."""
    return [[len(chunk.tokens) for chunk in chunks] for chunks in model.calls]


@pytest.mark.slow
@pytest.mark.parametrize("next_token", [varied, repeating])
@settings(max_examples=30)
@given(some.integers(0, 10**6))
def test_each_answer_is_that_of_its_prompt_alone_however_others_join_and_leave(next_token, seed):
    choices = random.Random(seed)
    batch, _ = make(next_token, rows=choices.randint(1, 6), blocks=choices.randint(8, 30))
    present, finished = list[BatchSequence](), list[BatchSequence]()
    for _ in range(60):
        if choices.random() < 0.4:
            prompt = [choices.randrange(50) for _ in range(choices.choice([1, 2, 3, 17, 33, 90, 150]))]
            present.append(sequence(prompt, choices.choice([1, 2, 20, 60])))
            batch.join(present[-1])
        if present and choices.random() < 0.1:
            batch.leave(present.pop(choices.randrange(len(present))))
        if present:
            batch.step()
        finished += [each for each in present if each.finished]
        present = [each for each in present if not each.finished]
    for each in finished + present:
        assert each.tokens == plain(each.request.prompt, len(each.tokens), next_token)
        assert len(each.tokens) <= each.request.max_tokens


@given(some.lists(some.integers(1, 300), min_size=1, max_size=5))
@example([LARGE_CHUNK * THREADS + 1])
@example([LARGE_CHUNK * THREADS - 1, 50])
def test_no_prompt_is_divided_into_a_part_of_one_token(lengths):
    batch, model = make()
    sequences = [sequence([3] * length, 1) for length in lengths]
    run(batch, sequences)
    parts = [size for chunk_sizes in sizes(model) for size in chunk_sizes]
    assert parts.count(1) == lengths.count(1)


def test_prompts_that_come_together_are_prefilled_in_large_chunks_before_any_decodes():
    batch, model = make()
    sequences = [sequence([1] * 100, 3) for _ in range(3)]
    for each in sequences:
        batch.join(each)
    assert (batch.step(), batch.step()) == ([], [])
    assert batch.step() == sequences
    large = LARGE_CHUNK * THREADS
    assert sizes(model)[:3] == [[100, large - 100], [72, large - 72], [300 - 2 * large]]


def test_a_few_prompts_are_prefilled_in_small_chunks_while_more_sequences_decode():
    batch, model = make()
    decoding = [sequence([1, 2, 3], 30) for _ in range(2)]
    for each in decoding:
        batch.join(each)
    batch.step()
    late = sequence([2] * 20, 3)
    batch.join(late)
    assert batch.step() == decoding
    assert batch.step() == [*decoding, late]
    assert [calls[2:] for calls in sizes(model)[1:]] == [[CHUNK * THREADS], [20 - CHUNK * THREADS]]


def test_decoding_pauses_for_a_majority_that_awaits_prefill():
    batch, model = make()
    first = sequence([1, 2, 3], 9)
    batch.join(first)
    batch.step()
    group = [sequence([2] * 90, 3) for _ in range(2)]
    for each in group:
        batch.join(each)
    assert batch.step() == [], "it prefills the first 128 of 180 tokens"
    assert batch.step() == group
    assert batch.step() == [first, *group]
    assert sizes(model)[1:3] == [[90, 38], [52]]


def test_a_group_goes_on_when_one_of_it_leaves():
    batch, _ = make()
    group = [sequence([token] * 100, 2) for token in range(3)]
    for each in group:
        batch.join(each)
    batch.step()
    batch.leave(group[2])
    batch.leave(group[0])
    while not group[1].finished:
        batch.step()
    assert [each.tokens for each in group] == [[], plain([1] * 100, 2, varied), []]


def test_right_proposals_save_steps():
    batch, model = make(repeating)
    each = sequence([1, 2, 3, 4, 5, 1, 2, 3], 40)
    run(batch, [each])
    assert each.tokens == plain(each.request.prompt, 40, repeating)
    assert len(model.calls) == 1 + -(-39 // (1 + PROPOSALS)), "the prompt, then five tokens a step"
    assert all(len(chunks) <= 1 + PROPOSALS for chunks in model.calls)


def test_proposals_are_bounded_and_none_goes_beyond_the_longest_answer():
    batch, model = make(repeating)
    sequences = [sequence([1, 2, 3, 4, token] * 3, 7) for token in range(5, 5 + ROWS)]
    run(batch, sequences)
    for each in sequences:
        assert each.tokens == plain(each.request.prompt, 7, repeating)
    decoding = [chunks for chunks in model.calls if all(len(chunk.tokens) == 1 for chunk in chunks)]
    assert max(map(len, decoding)) == MAX_WITH_PROPOSALS
    assert all(chunk.length < 15 + 7 - 1 for chunks in decoding for chunk in chunks)


@pytest.mark.parametrize(("count", "proposed"), [(2, 1), (3, 0)])
def test_for_more_than_two_sequences_only_tokens_after_eight_that_occurred_before_are_proposed(count, proposed):
    batch, model = make(lambda tokens: tokens[-3])
    run(batch, [sequence([1, 2, 3, 1, 2], 3) for _ in range(count)])
    assert len(model.calls[1]) == count * (1 + proposed)


def test_an_end_token_ends_an_answer_among_proposals_that_were_right():
    batch, _ = make(repeating)
    each = sequence([1, 2, 3, 4, 5, 1, 2, 3], 40, end_tokens=frozenset({2}))
    run(batch, [each])
    assert each.tokens == [4, 5, 1, 2]


def test_sampled_answers_do_not_depend_on_company_or_proposals():
    def answers(count: int) -> list[list[int]]:
        batch, _ = make(repeating)
        sequences = [
            sequence([1, 2, 3, 4, 5] * 2, 30, sampling={"temperature": 2.0, "seed": seed}) for seed in range(count)
        ]
        run(batch, sequences)
        return [each.tokens for each in sequences]

    assert answers(5)[:2] == answers(2)
    assert len({tuple(tokens) for tokens in answers(5)}) == 5


@pytest.mark.parametrize(("rows", "blocks"), [(2, BLOCKS), (ROWS, 4)])
def test_sequences_wait_for_rows_and_for_blocks(rows, blocks):
    batch, model = make(rows=rows, blocks=blocks)
    sequences = [sequence([token] * (2 * BLOCK - 5), 5) for token in range(3)] + [sequence([9], 3)]
    run(batch, sequences)
    for each in sequences:
        assert each.tokens == plain(each.request.prompt, len(each.tokens), varied)
    assert max(len({chunk.blocks[0] for chunk in chunks}) for chunks in model.calls) == 2


@pytest.mark.parametrize(("prompt", "new"), [(0, 1), (BLOCK * 4, 1), (1, BLOCK * 4)])
def test_a_sequence_that_cannot_fit_does_not_join(prompt, new):
    batch, _ = make(blocks=4)
    with pytest.raises(ValueError, match=f"{prompt} \\+ {new} tokens do not fit in 1 to 128"):
        batch.join(sequence([1] * prompt, new))


@pytest.mark.parametrize("length", [1, 2, 17, 200])
def test_log_probabilities_of_prompt_and_answer_are_recorded_in_order(length):
    batch, _ = make(repeating)
    logprobs = Logprobs(top=2, of_prompt=True)
    prompt = [index % 5 for index in range(length)]
    echoing, other = sequence(prompt, 12, logprobs=logprobs), sequence([7, 3], 12)
    run(batch, [other, echoing])
    assert echoing.tokens == plain(prompt, 12, repeating)
    assert [entry.token for entry in logprobs.tokens] == [*prompt[1:], *echoing.tokens]
    answer = logprobs.tokens[length - 1 :]
    assert all(entry.logprob == pytest.approx(-0.286, abs=0.001) == entry.top[0][1] for entry in answer)
    assert all(entry.token == entry.top[0][0] and len(entry.top) == 2 for entry in answer)


def test_a_sequence_whose_choice_fails_ends_alone():
    batch, _ = make()
    bad, good = sequence([1], 3, sampling={"logit_bias": {10**6: 1.0}}), sequence([2], 3)
    run(batch, [bad, good])
    assert isinstance(bad.error, IndexError) and bad.tokens == []
    assert good.tokens == plain([2], 3, varied)


def test_callers_of_the_engine_each_get_their_tokens_one_by_one():
    engine = BatchEngine(make(repeating)[0])

    def answer(count: int) -> list[int]:
        tokens = list[int]()
        engine.generate(GenerationRequest([1, 2, 3, 4, 5] * 2, count), tokens.append, lambda: False)
        return tokens

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, range(1, 30)))
    assert answers == [plain([1, 2, 3, 4, 5] * 2, count, repeating) for count in range(1, 30)]


def test_a_caller_that_needs_no_more_tokens_gets_none_of_those_computed_with_its_last():
    engine, tokens = BatchEngine(make(repeating)[0]), list[int]()

    def receive(token: int) -> bool:
        tokens.append(token)
        return len(tokens) == 3

    engine.generate(GenerationRequest([1, 2, 3, 4, 5] * 2, 30), receive, lambda: False)
    assert tokens == [1, 2, 3]


def test_a_model_that_fails_ends_the_engine():
    batch, model = make()
    engine, model.failure = BatchEngine(batch), ValueError("out of memory")
    with pytest.raises(EngineError, match="out of memory"):
        engine.generate(GenerationRequest([1], 3), lambda _: None, lambda: False)
    assert engine.failure == "The engine has failed (ValueError) and answers nothing until the process is restarted."
