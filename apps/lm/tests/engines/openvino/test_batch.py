"""The batch on OpenVINO, with a fake pipeline: what it hands in, what it collects, and how sequences end."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apps.lm.engines.batching import BatchEngine, EngineError
from apps.lm.engines.protocol import GenerationRequest, Logprobs, Sampling, TokenLogprob
from apps.lm.tests.engines.openvino import fake_genai
from apps.lm.tests.engines.openvino.fake_genai import GenerationStatus
from apps.lm.tests.engines.sequences import sequence

MODULE = "apps.lm.engines.openvino.batch"
FOLDER, ROWS, TOKENS, THREADS = Path("model"), 16, 4096, 2


@pytest.fixture(scope="module")
def module():
    """The module of the batch, with stand-ins for openvino and openvino_genai."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "openvino", fake_genai.OPENVINO)
        patch.setitem(sys.modules, "openvino_genai", fake_genai.OPENVINO_GENAI)
        patch.delitem(sys.modules, MODULE, raising=False)
        yield importlib.import_module(MODULE)
        sys.modules.pop(MODULE)


@pytest.fixture
def pipeline(module) -> fake_genai.ContinuousBatchingPipeline:
    return module.pipeline(FOLDER, ROWS, TOKENS, THREADS)


@pytest.fixture
def batch(module, pipeline):
    return module.OpenVinoBatch(pipeline)


def test_the_pipeline_is_compiled_for_the_batch_and_the_threads(pipeline):
    scheduler = pipeline.scheduler
    assert (pipeline.folder, pipeline.device) == (FOLDER, "CPU")
    assert scheduler.max_num_seqs == ROWS
    assert scheduler.max_num_batched_tokens == ROWS + 8 * THREADS, "all sequences decode, and a little prefill"
    assert scheduler.num_kv_blocks == TOKENS // 32 + ROWS + 1
    assert pipeline.properties == {
        "INFERENCE_NUM_THREADS": THREADS,
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "u8",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64,
        "ENABLE_CPU_PINNING": False,
    }


def test_sequences_join_between_steps_and_each_gets_a_token_in_a_step(batch):
    first, second = sequence([1, 2], 3), sequence([3], 2)
    batch.join(first)
    assert batch.step() == [first]
    batch.join(second)
    assert batch.step() == batch.step() == [first, second]
    assert (first.tokens, second.tokens) == ([100, 101, 102], [100, 101])
    assert first.finished and second.finished
    assert batch.step() == [], "they have left"


def test_each_sequence_is_handed_in_once_with_its_prompt(batch, pipeline):
    for prompt in ([1, 2], [3]):
        batch.join(sequence(prompt, 2))
    assert [handle.prompt for handle in pipeline.handles] == [[[1, 2]], [[3]]]
    assert len({handle.request_id for handle in pipeline.handles}) == 2


def test_a_sequence_in_prefill_is_not_returned_while_others_decode(batch, pipeline):
    first, long = sequence([1], 9), sequence([2] * 500, 9)
    batch.join(first)
    batch.join(long)
    pipeline.handles[1].prefill_steps = 2
    assert [batch.step() for _ in range(3)] == [[first], [first], [first, long]]


def test_log_probabilities_of_tokens_are_recorded_if_requested(batch):
    logprobs = Logprobs()
    batch.join(sequence([1], 2, logprobs=logprobs))
    batch.join(sequence([2], 2))
    batch.step()
    batch.step()
    assert logprobs.tokens == [TokenLogprob(100, -100.0, []), TokenLogprob(101, -101.0, [])]


def test_log_probabilities_of_the_prompt_but_its_first_token_come_before_those_of_the_answer(batch):
    logprobs = Logprobs(of_prompt=True)
    echoing = sequence([1, 2, 3], 2, logprobs=logprobs)
    batch.join(echoing)
    assert batch.step() == batch.step() == [echoing]
    assert (echoing.tokens, echoing.finished) == ([100, 101], True)
    scores = {2: -2.0, 3: -3.0, 100: -100.0, 101: -101.0}
    assert logprobs.tokens == [TokenLogprob(token, score, []) for token, score in scores.items()]


def test_an_end_token_ends_a_sequence(batch):
    ended = sequence([1], 9, end_tokens=frozenset({101}))
    batch.join(ended)
    assert batch.step() == batch.step() == [ended]
    assert (ended.finished, ended.tokens, ended.error) == (True, [100, 101], None)


def test_a_sequence_that_leaves_is_cancelled_and_the_others_go_on(batch, pipeline):
    leaving, staying = sequence([1], 9), sequence([2], 9)
    for each in (leaving, staying):
        batch.join(each)
    batch.step()
    batch.leave(leaving)
    assert pipeline.handles[0].status is GenerationStatus.CANCEL
    assert batch.step() == [staying]
    assert (leaving.tokens, staying.tokens) == ([100], [100, 101])


def test_a_sequence_whose_tokens_cannot_be_read_ends_alone(batch, pipeline):
    bad, good = sequence([1], 3), sequence([2], 3)
    for each in (bad, good):
        batch.join(each)
    pipeline.handles[0].read_error = RuntimeError("broken")
    assert batch.step() == [bad, good]
    assert (str(bad.error), pipeline.handles[0].status) == ("broken", GenerationStatus.CANCEL)
    assert batch.step() == batch.step() == [good]
    assert (good.tokens, good.error) == ([100, 101, 102], None)


def test_a_sequence_that_the_pipeline_ends_early_has_an_error_with_the_status(batch, pipeline):
    bad, good = sequence([1], 3), sequence([2], 3)
    for each in (bad, good):
        batch.join(each)
    pipeline.handles[0].status = GenerationStatus.IGNORED
    assert batch.step() == [bad, good]
    assert str(bad.error) == "The pipeline has ended a sequence as IGNORED."
    assert batch.step() == [good]


def test_a_refused_sequence_does_not_join(batch, pipeline):
    with pytest.raises(RuntimeError, match="the temperature is refused"):
        batch.join(sequence([1], 3, sampling={"temperature": 3.0}))
    assert pipeline.handles == batch.step() == []


def test_greedy_requests_do_not_sample_and_end_only_at_end_tokens(batch, pipeline):
    batch.join(sequence([1], 5, end_tokens=frozenset({2, 3})))
    batch.join(sequence([1], 5))
    with_end, without_end = (vars(handle.configuration) for handle in pipeline.handles)
    neutral = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_new_tokens": 0}
    expected = {"max_new_tokens": 5, "do_sample": False, "logprobs": 0, "echo": False} | neutral
    assert with_end == expected | {"stop_token_ids": {2, 3}, "ignore_eos": False}
    assert without_end == expected | {"stop_token_ids": set(), "ignore_eos": True}


def test_sampling_parameters_are_handed_in_and_seeds_differ_unless_set(batch, pipeline):
    batch.join(sequence([1], 5, sampling={"temperature": 0.7, "top_p": 0.9, "top_k": 50, "seed": 3}))
    for _ in range(2):
        batch.join(sequence([1], 5, sampling={"temperature": 1.0}))
    full, default, other = (handle.configuration for handle in pipeline.handles)
    assert (full.do_sample, full.temperature, full.top_p, full.top_k, full.rng_seed) == (True, 0.7, 0.9, 50, 3)
    assert (default.do_sample, default.temperature, default.top_p) == (True, 1.0, 1.0)
    assert not hasattr(default, "top_k"), "the pipeline's default"
    assert default.rng_seed != other.rng_seed


def test_penalties_min_p_and_the_least_number_of_tokens_are_handed_in(batch, pipeline):
    penalties = {"repetition_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": -0.5}
    batch.join(sequence([1], 5, sampling=penalties | {"temperature": 1.0, "min_p": 0.1, "seed": -1}, min_tokens=9))
    (handle,) = pipeline.handles
    assert penalties.items() <= vars(handle.configuration).items()
    assert (handle.configuration.min_p, handle.configuration.min_new_tokens) == (0.1, 5), "at most all tokens"
    assert handle.configuration.rng_seed == 2**64 - 1, "the pipeline's seeds have no sign"
    batch.join(sequence([1], 5, sampling={"temperature": 1.0, "min_p": 1.0}))
    assert 0.999 < pipeline.handles[1].configuration.min_p < 1, "it refuses 1"


def test_the_size_of_the_cache_is_known_after_one_token_and_its_sequence_has_left(batch, pipeline):
    assert batch.cache_bytes() == 4096
    assert [handle.generated for handle in pipeline.handles] == [1]
    assert batch.step() == []


@pytest.fixture
def engine(batch) -> BatchEngine:
    return BatchEngine(batch)


def tokens(engine: BatchEngine, max_tokens: int, **sampling) -> list[int]:
    request = GenerationRequest([1], max_tokens, sampling=Sampling(**sampling))
    answer: list[int] = []
    engine.generate(request, answer.append, lambda: False)
    return answer


def test_callers_of_the_engine_each_get_their_tokens(engine):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: tokens(engine, n), range(1, 9)))
    assert answers == [list(range(100, 100 + n)) for n in range(1, 9)]


def test_a_caller_of_the_engine_that_needs_no_more_tokens_cancels_its_sequence(engine, pipeline):
    engine.generate(GenerationRequest([1], 10**9), lambda _: True, lambda: False)
    assert tokens(engine, 3) == [100, 101, 102]
    assert [handle.status for handle in pipeline.handles] == [GenerationStatus.CANCEL, GenerationStatus.FINISHED]


def test_a_refusal_is_raised_to_its_caller_and_the_next_is_served(engine):
    with pytest.raises(RuntimeError, match="the temperature is refused"):
        tokens(engine, 3, temperature=3.0)
    assert tokens(engine, 2) == [100, 101]


def test_a_pipeline_that_fails_ends_the_engine(engine, pipeline):
    pipeline.step_error = ValueError("out of blocks")
    with pytest.raises(EngineError, match="out of blocks"):
        tokens(engine, 3)
    assert engine.failure == "The engine has failed (ValueError) and answers nothing until the process is restarted."
