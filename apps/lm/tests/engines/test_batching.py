"""The engine's thread serves many callers with one batch, and each caller gets its own tokens or its own error."""

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from apps.lm.engines import batching
from apps.lm.engines.batching import BatchEngine, EngineError
from apps.lm.engines.protocol import GenerationRequest, Sampling
from apps.lm.engines.transformers.schedules import AlternatingBatch, OverlappingBatch
from apps.lm.tests import tiny

CONTEXT = 256
MODEL = tiny.gpt2_model(300, None, CONTEXT)
SECONDS = 30


def never() -> bool:
    return False


@pytest.fixture(params=["alternating", "overlapping"])
def engine(request):
    if request.param == "alternating":
        return BatchEngine(AlternatingBatch(MODEL, 4, CONTEXT))
    return BatchEngine(OverlappingBatch(MODEL, 4, CONTEXT, ThreadPoolExecutor(1)))


@pytest.fixture
def passes():
    """The number of sequences in each forward pass so far."""
    counts: list[int] = []
    hook = MODEL.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    yield counts
    hook.remove()


def tokens(engine, *prompt: int, max_tokens: int = 8, cancelled=never) -> list[int]:
    answer: list[int] = []
    engine.generate(GenerationRequest(prompt, max_tokens), answer.append, cancelled)
    return answer


@pytest.mark.slow
def test_concurrent_callers_each_get_their_own_answer(engine):
    prompts = [(n, n + 1) for n in range(12)]
    expected = [tokens(engine, *prompt) for prompt in prompts]
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(lambda prompt: tokens(engine, *prompt), prompts)) == expected


def test_concurrent_callers_share_forward_passes(engine, passes):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: tokens(engine, n, max_tokens=100), range(4)))
    assert max(passes) == 4
    assert len(passes) < 300


@contextmanager
def full(engine):
    """All places are taken by sequences that have a token each, until the end of the block."""
    end, begun = threading.Event(), [threading.Event() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for n, event in enumerate(begun):
            request = GenerationRequest((n,), CONTEXT - 1)
            pool.submit(engine.generate, request, lambda _, event=event: event.set(), end.is_set)
        assert all(event.wait(SECONDS) for event in begun)
        try:
            yield
        finally:
            end.set()


def test_callers_receive_tokens_in_the_thread_that_computes_without_a_switch_of_threads(engine):
    names = set()
    engine.generate(GenerationRequest((1,), 8), lambda _: names.add(threading.current_thread().name), never)
    assert names == {"engine"}


def test_a_caller_that_needs_no_more_tokens_frees_its_place(engine, passes):
    with ThreadPoolExecutor(4) as pool:
        for n in range(4):
            pool.submit(engine.generate, GenerationRequest((n,), CONTEXT - 1), lambda _: True, never)
    before = len(passes)
    assert len(tokens(engine, 1, max_tokens=8)) == 8
    assert len(passes) - before < 20


def test_a_caller_whose_function_fails_ends_alone_and_raises_its_error(engine):
    def fail(token: int) -> None:
        raise LookupError(token)

    expected = tokens(engine, 2, max_tokens=60)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(tokens, engine, 2, max_tokens=60)
        with pytest.raises(LookupError):
            engine.generate(GenerationRequest((1,), CONTEXT - 1), fail, never)
        assert other.result(SECONDS) == expected


def test_cancelling_one_sequence_does_not_affect_the_others(engine):
    expected, cancel = tokens(engine, 2, max_tokens=60), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(tokens, engine, 2, max_tokens=60)
        engine.generate(GenerationRequest((1,), CONTEXT - 1), lambda _: cancel.set(), cancel.is_set)
        assert other.result(SECONDS) == expected


def test_a_caller_that_waits_for_a_place_can_be_cancelled(engine):
    with full(engine):
        assert tokens(engine, 1, cancelled=lambda: True) == []


def test_a_caller_that_waits_for_a_token_is_woken_when_it_is_cancelled(engine, monkeypatch):
    monkeypatch.setattr(batching, "POLL_SECONDS", 20)
    cancel, asked = threading.Event(), threading.Event()

    def cancelled() -> bool:
        answer = cancel.is_set()
        if threading.current_thread().name.startswith("waiting"):  # not the engine, which asks too
            asked.set()
        return answer

    with full(engine), ThreadPoolExecutor(1, thread_name_prefix="waiting") as pool:
        waiting = pool.submit(tokens, engine, 1, cancelled=cancelled)
        asked.wait(SECONDS)
        cancel.set()
        assert waiting.result(10) == []


def test_an_error_of_one_sequence_is_raised_to_its_caller_and_the_next_is_served(engine):
    with pytest.raises(IndexError):
        tokens(engine, 300)  # the vocabulary ends at 299
    with pytest.raises(ValueError, match="do not fit"):
        tokens(engine, 1, max_tokens=CONTEXT)
    assert len(tokens(engine, 1)) == 8


def test_a_prompt_that_fails_ends_no_other_sequence(engine):
    expected = tokens(engine, 2, max_tokens=60)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(tokens, engine, 2, max_tokens=60)
        with pytest.raises(IndexError):
            tokens(engine, 300)
        assert other.result(SECONDS) == expected


def test_an_error_in_sampling_is_raised_to_its_caller_and_ends_no_other_sequence(engine):
    expected = tokens(engine, 2, max_tokens=60)
    request = GenerationRequest((1,), 60, sampling=Sampling(temperature=1e-45))  # logits / temperature overflows
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(tokens, engine, 2, max_tokens=60)
        with pytest.raises(RuntimeError, match="probability tensor"):
            engine.generate(request, lambda _: None, never)
        assert other.result(SECONDS) == expected


def test_a_batch_that_fails_fails_current_and_later_callers():
    executor = ThreadPoolExecutor(1)
    engine = BatchEngine(OverlappingBatch(MODEL, 4, CONTEXT, executor))
    assert engine.failure is None
    executor.shutdown()
    for _ in range(2):
        with pytest.raises(EngineError, match="cannot schedule new futures after shutdown"):
            tokens(engine, 1)
    assert engine.failure
    assert engine.failure.startswith("The engine has failed (RuntimeError)")


def test_a_cancelled_caller_does_not_wait_for_a_step_that_hangs(monkeypatch):
    cancel = threading.Event()

    class Hanging(Executor):
        def submit(self, *_, **__):
            cancel.set()
            return Future()

    monkeypatch.setattr(batching, "POLL_SECONDS", 0.01)
    engine = BatchEngine(OverlappingBatch(MODEL, 4, CONTEXT, Hanging()))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(tokens, engine, 1, cancelled=cancel.is_set).result(SECONDS) == []


@pytest.mark.slow
def test_a_cancelled_sequence_leaves_before_the_next_one_joins():
    moves, stepping, go_on = [], threading.Semaphore(0), threading.Semaphore(0)
    cancel, waiting, over = (threading.Event() for _ in range(3))

    class Slow:
        def join(self, sequence):
            moves.append(("join", sequence.request.prompt))

        def leave(self, sequence):
            moves.append(("leave", sequence.request.prompt))

        def step(self):
            stepping.release()
            go_on.acquire(timeout=SECONDS)
            return []

    def second_cancelled() -> bool:
        waiting.set()
        return over.is_set()

    engine = BatchEngine(Slow())
    with ThreadPoolExecutor(2) as pool:
        pool.submit(tokens, engine, 1, cancelled=cancel.is_set)
        assert stepping.acquire(timeout=SECONDS)
        cancel.set()
        pool.submit(tokens, engine, 2, cancelled=second_cancelled)
        assert waiting.wait(SECONDS)
        go_on.release()
        assert stepping.acquire(timeout=SECONDS)
        over.set()
        go_on.release()
    assert moves[:3] == [("join", (1,)), ("leave", (1,)), ("join", (2,))]


def test_an_idle_engine_sleeps():
    class Counting(AlternatingBatch):
        steps = 0

        def step(self):
            self.steps += 1
            return super().step()

    engine = BatchEngine(batch := Counting(MODEL, 1, CONTEXT))
    tokens(engine, 1, max_tokens=8)
    assert not threading.Event().wait(0.2)
    assert batch.steps < 20
