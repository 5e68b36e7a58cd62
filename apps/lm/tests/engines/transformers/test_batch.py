"""Each sequence in a batch gets the tokens that it gets alone, whatever joins, leaves or fails beside it."""

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from itertools import cycle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.protocol import Logprobs
from apps.lm.engines.transformers.schedules import AlternatingBatch, OverlappingBatch
from apps.lm.tests import tiny
from apps.lm.tests.engines.sequences import sequence

VOCABULARY, CONTEXT, ROWS = 300, 40, 3
CHUNK, LARGE_CHUNK = 3, 5  # small, so that prompts of a few tokens are prefilled in several chunks
MODELS = {family: make(VOCABULARY, None, CONTEXT) for family, (_, make) in tiny.FAMILIES.items()}
TIE = 1e-4  # between the two largest logits: rounding may decide

prompts = some.lists(some.integers(0, VOCABULARY - 1), min_size=1, max_size=14)
sequences = some.builds(sequence, prompt=prompts.map(tuple), max_tokens=some.integers(1, 10))


class ManualExecutor(Executor):
    """Runs its work when `run_all` is called, or when a result is waited for."""

    def __init__(self) -> None:
        self.work: list[LazyFuture] = []

    def submit(self, function, /, *args, **options):
        self.run_all()  # in order
        self.work.append(LazyFuture(lambda: function(*args, **options)))
        return self.work[-1]

    def run_all(self) -> None:
        while self.work:
            self.work.pop(0).run()


class LazyFuture(Future):
    def __init__(self, function) -> None:
        super().__init__()
        self._function = function

    def run(self) -> None:
        if not self.done():
            try:
                self.set_result(self._function())
            except Exception as error:
                self.set_exception(error)

    def result(self, timeout=None):
        self.run()
        return super().result(timeout)


def alternating(family: str = "gpt2", rows: int = ROWS) -> AlternatingBatch:
    return AlternatingBatch(MODELS[family], rows, CONTEXT, CHUNK, LARGE_CHUNK)


def overlapping(executor: Executor, family: str = "gpt2") -> OverlappingBatch:
    return OverlappingBatch(MODELS[family], ROWS, CONTEXT, executor, LARGE_CHUNK)


def run(batch) -> list[BatchSequence]:
    """Step until the batch is empty; return what all steps returned."""
    results = []
    while len(batch):
        results += batch.step()
    return results


@cache
def alone(family: str, prompt: tuple[int, ...], count: int) -> list[int]:
    """Greedy tokens without a KV cache and without a batch, up to the first that rounding could change."""
    tokens = list(prompt)
    for _ in range(count):
        with torch.inference_mode():
            best = MODELS[family](torch.tensor([tokens])).logits[0, -1].topk(2)
        if best.values[0] - best.values[1] < TIE:
            break
        tokens.append(int(best.indices[0]))
    return tokens[len(prompt) :]


def agrees(family: str, a_sequence: BatchSequence) -> bool:
    expected = alone(family, tuple(a_sequence.request.prompt), len(a_sequence.tokens))
    return a_sequence.tokens[: len(expected)] == expected


# Drawn beforehand, because a thread decides which sequences are in the batch: how many join, whether the executor runs,
# and which sequence leaves.
moves = some.lists(some.tuples(some.integers(0, 3), some.booleans(), some.none() | some.integers(0, 6)), min_size=1)


@pytest.mark.parametrize(
    "make_executor", [lambda: None, ManualExecutor, lambda: ThreadPoolExecutor(1)], ids=["", "manual", "thread"]
)
@pytest.mark.parametrize("family", sorted(MODELS))
@settings(deadline=None, max_examples=20)
@given(moves=moves, all_sequences=some.lists(sequences, min_size=1, max_size=7))
@pytest.mark.slow
def test_each_sequence_gets_its_tokens_whatever_joins_and_leaves(family, make_executor, moves, all_sequences):
    executor, waiting, remaining = make_executor(), list(all_sequences), list(all_sequences)
    batch = overlapping(executor, family) if executor else alternating(family)
    for joining, run_executor, leaving in cycle(moves):
        for _ in range(joining if len(batch) else max(1, joining)):
            if waiting:
                batch.join(waiting.pop())
        if leaving is not None and leaving < len(batch):
            leaver = list(batch)[leaving]
            batch.leave(leaver)
            remaining.remove(leaver)
        if run_executor and isinstance(executor, ManualExecutor):
            executor.run_all()
        if len(batch):
            batch.step()
        elif not waiting:
            break
    assert all(agrees(family, each) for each in all_sequences)
    assert all(len(each.tokens) == each.request.max_tokens for each in remaining)


def test_a_long_prompt_is_prefilled_in_chunks_between_decode_steps():
    batch = alternating()
    first, long = sequence((1, 2), 20), sequence(tuple(range(12)), 2)
    batch.join(first)
    while not first.tokens:
        batch.step()
    batch.join(long)
    before = len(first.tokens)
    while not long.tokens:
        batch.step()
    assert len(first.tokens) - before == 12 / CHUNK


def test_the_majority_is_served_first():
    batch, all_sequences = alternating(rows=8), [sequence((n, n), 20) for n in range(6)]
    for each in all_sequences:
        batch.join(each)
    counts = []
    for _ in range(6):
        batch.step()
        counts.append([len(each.tokens) for each in all_sequences])
    assert counts[2:] == [
        [1, 1, 1, 0, 0, 0],  # until here more sequences waited for prefill
        [2, 2, 2, 0, 0, 0],
        [2, 2, 2, 1, 0, 0],
        [3, 3, 3, 2, 0, 0],
    ]


def test_decode_goes_on_while_an_executor_prefills():
    executor = ManualExecutor()
    batch, first, second = overlapping(executor), sequence((1,), 20), sequence((2,), 20)
    batch.join(first)
    assert batch.step() == [first], "nothing to decode: it waits for the prefill"
    batch.join(second)
    assert [batch.step() for _ in range(3)] == [[first]] * 3
    executor.run_all()
    assert batch.step() == [first, second]
    assert (len(first.tokens), len(second.tokens)) == (5, 1)


@pytest.mark.parametrize("make_batch", [alternating, lambda: overlapping(ManualExecutor())], ids=["", "overlapping"])
def test_a_prompt_that_fails_in_prefill_ends_only_its_sequence(make_batch):
    batch, good, bad = make_batch(), sequence((1,), 4), sequence((VOCABULARY,), 4)
    for each in (good, bad):
        batch.join(each)
    results = run(batch)
    assert results.count(good) == len(good.tokens) == 4
    assert results.count(bad) == 1
    assert isinstance(bad.error, IndexError)


def test_no_more_sequences_than_rows_decode_at_once_and_the_next_follows():
    batch, all_sequences = alternating(rows=2), [sequence((n,), 4) for n in range(3)]
    for each in all_sequences:
        batch.join(each)
    while len(all_sequences[0].tokens) < 3:
        batch.step()
    assert [bool(each.tokens) for each in all_sequences] == [True, True, False]
    run(batch)
    assert [len(each.tokens) for each in all_sequences] == [4, 4, 4]


@pytest.mark.parametrize(("prompt", "max_tokens"), [((), 1), ((1,) * 39, 2)])
def test_a_sequence_that_cannot_fit_is_refused(prompt, max_tokens):
    with pytest.raises(ValueError, match="do not fit in 1 to 40"):
        alternating(rows=1).join(sequence(prompt, max_tokens))


@pytest.mark.parametrize("family", MODELS)
def test_log_probabilities_of_prompts_in_chunks_and_of_answers_are_those_without_a_batch(family):
    prompts = [tuple(range(1, 1 + length)) for length in (1, 4, 5, 6, 14)]
    recorded = [Logprobs(top=2, of_prompt=True) for _ in prompts]
    joined = [sequence(prompt, 3, logprobs=logprobs) for prompt, logprobs in zip(prompts, recorded, strict=True)]
    batch = alternating(family)
    for each in joined:
        batch.join(each)
    run(batch)
    for prompt, logprobs, each in zip(prompts, recorded, joined, strict=True):
        tokens = [*prompt, *each.tokens]
        with torch.inference_mode():
            scores = MODELS[family](torch.tensor([tokens[:-1]])).logits[0].log_softmax(-1)
        assert [entry.token for entry in logprobs.tokens] == tokens[1:]
        expected = scores[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])]
        assert torch.allclose(torch.tensor([entry.logprob for entry in logprobs.tokens]), expected, atol=1e-4)
        likeliest = torch.tensor([[logprob for _, logprob in entry.top] for entry in logprobs.tokens])
        assert torch.allclose(likeliest, scores.topk(2).values, atol=1e-4)
