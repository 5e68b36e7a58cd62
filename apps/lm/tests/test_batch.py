from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from itertools import cycle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from apps.lm import batch
from apps.lm.batch import Batch
from apps.lm.member import Member
from apps.lm.tests import tiny

VOCABULARY, CONTEXT, ROWS = 300, 40, 3
MODELS = {family: make(VOCABULARY, None, CONTEXT) for family, (_, make) in tiny.FAMILIES.items()}
TIE = 1e-4  # between the two best logits: rounding may decide

prompts = some.lists(some.integers(0, VOCABULARY - 1), min_size=1, max_size=14)
members = some.builds(Member, prompt=prompts.map(tuple), most=some.integers(1, 10))


class Later(Executor):
    """Reads when it is told to, or when it is waited for."""

    def __init__(self) -> None:
        self.work: list[Waited] = []

    def submit(self, function, /, *args):
        self.read()  # in their order
        self.work.append(Waited(lambda: function(*args)))
        return self.work[-1]

    def read(self) -> None:
        while self.work:
            self.work.pop(0).run()


class Waited(Future):
    def __init__(self, work) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        if not self.done():
            try:
                self.set_result(self._work())
            except Exception as error:
                self.set_exception(error)

    def result(self, timeout=None):
        self.run()
        return super().result(timeout)


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    """Prompts of a few tokens are read in several parts too."""
    monkeypatch.setattr(batch, "PROMPT_PART", 3)
    monkeypatch.setattr(batch, "PROMPT_PART_MOST", 5)


@cache
def alone(family: str, prompt: tuple[int, ...], count: int) -> list[int]:
    """Greedy tokens without cache and company, up to the first that rounding could change."""
    tokens = list(prompt)
    for _ in range(count):
        with torch.inference_mode():
            best = MODELS[family](torch.tensor([tokens])).logits[0, -1].topk(2)
        if best.values[0] - best.values[1] < TIE:
            break
        tokens.append(int(best.indices[0]))
    return tokens[len(prompt) :]


def agrees(family: str, member: Member) -> bool:
    expected = alone(family, member.prompt, len(member.tokens))
    return member.tokens[: len(expected)] == expected


# Drawn beforehand, since a thread decides when who is there: how many join, whether prompts are read, who leaves.
moves = some.lists(some.tuples(some.integers(0, 3), some.booleans(), some.none() | some.integers(0, 6)), min_size=1)


@pytest.mark.parametrize("reader", [lambda: None, Later, lambda: ThreadPoolExecutor(1)], ids=["", "beside", "thread"])
@pytest.mark.parametrize("family", sorted(MODELS))
@settings(deadline=None, max_examples=20)
@given(moves=moves, coming=some.lists(members, min_size=1, max_size=7))
def test_whoever_joins_and_leaves_each_gets_what_it_gets_alone(family, reader, moves, coming):
    reader, waiting, stayed = reader(), list(coming), list(coming)
    a_batch = Batch(MODELS[family], ROWS, CONTEXT, reader)
    for joining, read, leaving in cycle(moves):
        for _ in range(joining if len(a_batch) else max(1, joining)):
            if waiting:
                a_batch.join(waiting.pop())
        if leaving is not None and leaving < len(a_batch):
            leaver = list(a_batch)[leaving]
            a_batch.leave(leaver)
            stayed.remove(leaver)
        if read and isinstance(reader, Later):
            reader.read()
        if len(a_batch):
            a_batch.step()
        elif not waiting:
            break
    assert all(agrees(family, member) for member in coming)
    assert all(len(member.tokens) == member.most for member in stayed)


def test_a_long_prompt_is_read_in_parts_between_the_others_tokens():
    a_batch = Batch(MODELS["gpt2"], ROWS, CONTEXT)
    first, long = Member((1, 2), most=20), Member(tuple(range(12)), most=2)
    a_batch.join(first)
    while not first.tokens:
        a_batch.step()
    a_batch.join(long)
    before = len(first.tokens)
    while not long.tokens:
        a_batch.step()
    assert len(first.tokens) - before == 4  # 12 tokens in parts of 3


def test_what_most_wait_for_comes_first():
    a_batch, coming = Batch(MODELS["gpt2"], 8, CONTEXT), [Member((n, n), most=20) for n in range(6)]
    for member in coming:
        a_batch.join(member)
    seen = []
    for _ in range(6):
        a_batch.step()
        seen.append([len(member.tokens) for member in coming])
    assert seen[2:] == [
        [1, 1, 1, 0, 0, 0],  # until then more waited to be read
        [2, 2, 2, 0, 0, 0],
        [2, 2, 2, 1, 0, 0],
        [3, 3, 3, 2, 0, 0],
    ]


def test_tokens_go_on_while_a_prompt_is_read_beside():
    reader = Later()
    a_batch, first, second = Batch(MODELS["gpt2"], ROWS, CONTEXT, reader), Member((1,), 20), Member((2,), 20)
    a_batch.join(first)
    assert a_batch.step() == [first], "nobody answers: the prompt is waited for"
    a_batch.join(second)
    assert [a_batch.step() for _ in range(3)] == [[first]] * 3
    reader.read()
    assert a_batch.step() == [first, second]
    assert (len(first.tokens), len(second.tokens)) == (5, 1)


@pytest.mark.parametrize("reader", [None, Later()], ids=["", "read beside"])
def test_a_prompt_that_cannot_be_read_ends_nobody_else(reader):
    a_batch, good, bad = Batch(MODELS["gpt2"], ROWS, CONTEXT, reader), Member((1,), 4), Member((VOCABULARY,), 4)
    for member in (good, bad):
        a_batch.join(member)
    given = []
    while len(a_batch):
        given += a_batch.step()
    assert given.count(good) == len(good.tokens) == 4
    assert given.count(bad) == 1
    assert isinstance(bad.error, IndexError)


def test_no_more_than_the_rows_answer_at_once_and_the_next_follows():
    a_batch, coming = Batch(MODELS["gpt2"], 2, CONTEXT), [Member((n,), most=4) for n in range(3)]
    for member in coming:
        a_batch.join(member)
    while len(coming[0].tokens) < 3:
        a_batch.step()
    assert [bool(member.tokens) for member in coming] == [True, True, False]
    while len(a_batch):
        a_batch.step()
    assert [len(member.tokens) for member in coming] == [4, 4, 4]


@pytest.mark.parametrize(("prompt", "most"), [((), 1), ((1,) * 39, 2)])
def test_what_cannot_fit_is_refused(prompt, most):
    with pytest.raises(ValueError, match="do not fit in 1 to 40"):
        Batch(MODELS["gpt2"], 1, CONTEXT).join(Member(prompt, most))
