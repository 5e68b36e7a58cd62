import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from apps.lm import batch_engine
from apps.lm.batch import Batch
from apps.lm.batch_engine import BatchEngine, EngineError
from apps.lm.engine import Generation, Sampling
from apps.lm.tests import tiny

CONTEXT = 256
MODEL = tiny.gpt2_model(300, None, CONTEXT)
SECONDS = 30


def never() -> bool:
    return False


@pytest.fixture(params=[lambda: None, lambda: ThreadPoolExecutor(1)], ids=["", "reader"])
def engine(request):
    return BatchEngine(Batch(MODEL, 4, CONTEXT, request.param()))


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """How many sequences each forward pass computes, from the first to the last."""
    counts, forward = [], MODEL.forward
    monkeypatch.setattr(MODEL, "forward", lambda *a, **k: counts.append(len(a[0])) or forward(*a, **k))
    return counts


def tokens(engine, *prompt: int, most: int = 8, cancelled=never) -> list[int]:
    return list(engine.generate(Generation(prompt, most), cancelled))


def test_callers_at_once_each_get_their_own_answer(engine):
    prompts = [(n, n + 1) for n in range(12)]
    expected = [tokens(engine, *prompt) for prompt in prompts]
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(lambda prompt: tokens(engine, *prompt), prompts)) == expected


def test_callers_at_once_share_forward_passes(engine, passes):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: tokens(engine, n, most=100), range(4)))
    assert max(passes) == 4
    assert len(passes) < 300


def test_an_iterator_that_is_closed_frees_its_place(engine, passes):
    endless = [engine.generate(Generation((n,), CONTEXT - 1), never) for n in range(4)]
    for iterator in endless:
        next(iterator)
    for iterator in endless:
        iterator.close()
    before = len(passes)
    tokens(engine, 1, most=8)
    assert len(passes) - before < 20


def test_cancelling_ends_one_and_leaves_the_others_alone(engine):
    expected, cancel = tokens(engine, 2, most=60), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(tokens, engine, 2, most=60)
        cancelled = engine.generate(Generation((1,), CONTEXT - 1), cancel.is_set)
        next(cancelled)
        cancel.set()
        assert len(list(cancelled)) < CONTEXT - 2
        assert other.result(SECONDS) == expected


def test_one_who_waits_for_a_place_can_be_cancelled(engine):
    endless = [engine.generate(Generation((n,), CONTEXT - 1), never) for n in range(4)]
    for iterator in endless:
        next(iterator)
    assert tokens(engine, 1, cancelled=lambda: True) == []


def test_what_fails_in_computing_is_raised_to_its_caller_and_the_next_is_served(engine):
    with pytest.raises(IndexError):
        tokens(engine, 300)  # the vocabulary ends at 299
    with pytest.raises(ValueError, match="do not fit"):
        tokens(engine, 1, most=CONTEXT)
    assert len(tokens(engine, 1)) == 8


def test_a_prompt_that_fails_takes_nobody_with_it(engine):
    expected = tokens(engine, 2, most=60)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(tokens, engine, 2, most=60)
        with pytest.raises(IndexError):
            tokens(engine, 300)
        assert other.result(SECONDS) == expected


def test_one_whose_choice_fails_is_told_and_takes_nobody_with_it(engine):
    expected = tokens(engine, 2, most=60)
    wanted = Generation((1,), 60, sampling=Sampling(temperature=1e-45))  # divides to infinities
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(tokens, engine, 2, most=60)
        with pytest.raises(RuntimeError, match="probability tensor"):
            list(engine.generate(wanted, never))
        assert other.result(SECONDS) == expected


def test_without_its_reader_the_engine_fails_whoever_waits_and_whoever_comes():
    reader = ThreadPoolExecutor(1)
    engine = BatchEngine(Batch(MODEL, 4, CONTEXT, reader))
    assert engine.failure is None
    reader.shutdown()
    for _ in range(2):
        with pytest.raises(EngineError, match="cannot schedule new futures after shutdown"):
            tokens(engine, 1)
    assert engine.failure.startswith("The engine has failed (RuntimeError)")


def test_a_cancelled_caller_does_not_wait_for_a_reader_that_hangs(monkeypatch):
    class Hanging(Executor):
        def submit(self, *_):
            cancel.set()
            return Future()

    monkeypatch.setattr(batch_engine, "LOOK_SECONDS", 0.01)
    engine, cancel = BatchEngine(Batch(MODEL, 4, CONTEXT, Hanging())), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(tokens, engine, 1, cancelled=cancel.is_set).result(SECONDS) == []


def test_whoever_has_gone_leaves_before_the_next_joins():
    moves, stepping, go_on = [], threading.Semaphore(0), threading.Semaphore(0)
    gone, came, over = (threading.Event() for _ in range(3))

    class Slow:
        def join(self, member):
            moves.append(("join", member.prompt))

        def leave(self, member):
            moves.append(("leave", member.prompt))

        def step(self):
            stepping.release()
            go_on.acquire(timeout=SECONDS)
            return []

    engine = BatchEngine(Slow())
    with ThreadPoolExecutor(2) as pool:
        pool.submit(tokens, engine, 1, cancelled=gone.is_set)
        assert stepping.acquire(timeout=SECONDS)
        gone.set()
        pool.submit(tokens, engine, 2, cancelled=lambda: came.set() or over.is_set())
        assert came.wait(SECONDS)
        go_on.release()
        assert stepping.acquire(timeout=SECONDS)
        over.set()
        go_on.release()
    assert moves[:3] == [("join", (1,)), ("leave", (1,)), ("join", (2,))]


def test_an_idle_engine_sleeps(monkeypatch):
    turns, step = [], Batch.step
    monkeypatch.setattr(Batch, "step", lambda self: turns.append(None) or step(self))
    engine = BatchEngine(Batch(MODEL, 1, CONTEXT))
    tokens(engine, 1, most=8)
    assert not threading.Event().wait(0.2)
    assert len(turns) < 20
