"""The KV cache takes memory for its tokens only, and never more than /healthz says."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from apps.lm.engines.transformers.cache import RowCache
from apps.lm.engines.transformers.schedules import AlternatingBatch
from apps.lm.tests import process, tiny
from apps.lm.tests.engines.sequences import sequence
from apps.serving.tests.processes import resident_bytes

MB = 2**20


def wide(vocabulary: int, context: int, layers: int) -> LlamaForCausalLM:
    """A model that is small except for its KV cache: 2 KB per token and layer."""
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=vocabulary, max_position_embeddings=context, num_hidden_layers=layers,
        hidden_size=256, intermediate_size=64, num_attention_heads=4, eos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_on_a_gpu_all_rows_take_memory_from_the_start():
    rows, context, layers = 3, 64, 2
    with torch.device("meta"):  # as on a GPU, its memory cannot be given back in parts
        model = wide(300, context, layers)
        cache = RowCache(model, rows, context)
        model(torch.zeros(1, 1, dtype=torch.long), use_cache=True, **cache.open([0], 1))
    assert cache.max_bytes(1) == rows * context * layers * 2048


@pytest.mark.slow
def test_a_row_takes_memory_when_it_is_written_and_returns_it_when_its_sequence_leaves():
    batch = AlternatingBatch(wide(300, 4096, layers=4), rows=8, context=4096)
    before = resident_bytes()
    sequences = [sequence((1,) * 2000, max_tokens=200 + n) for n in range(4)]
    for each in sequences:
        batch.join(each)
    while not sequences[-1].tokens:
        batch.step()
    full = resident_bytes() - before
    while len(batch):
        batch.step()
    assert [len(each.tokens) for each in sequences] == [200, 201, 202, 203]
    assert 5 * 15.5 * MB < full < batch.max_cache_bytes(4 * 2204) + 16 * MB, (
        "16 MB a sequence, and where prompts are read"
    )
    assert resident_bytes() - before < full - 3.5 * 16 * MB


@pytest.mark.service
@pytest.mark.full
def test_the_largest_batches_stay_within_the_cache_size_in_health(tmp_path):
    context, layers = 512, 16
    tokenizer = tiny.llama_tokenizer()
    tokenizer.eos_token = None
    wide(len(tokenizer), context, layers).save_pretrained(tmp_path / "wide_v1")
    tokenizer.save_pretrained(tmp_path / "wide_v1")
    folder = tiny.publish(tmp_path / "wide_v1")
    limits = {"max_total_tokens": context, "max_batch_total_tokens": 16 * context, "max_in_flight": 64}
    with (
        process.serving(model_name=folder, request_timeout_seconds=300, **limits) as service,
        process.client(service) as client,
        ThreadPoolExecutor(64) as pool,
    ):

        def generate(count: int, total: int) -> None:
            """Get `count` answers at once, each of `total` tokens with its prompt."""
            body = {"prompt": "a", "max_new_tokens": total - prompt}
            answers = [pool.submit(client.post, "/generate", json=body, timeout=300) for _ in range(count)]
            assert {answer.result().json()["usage"]["total_tokens"] for answer in answers} == {total}

        prompt = client.post("/generate", json={"prompt": "a"}).json()["usage"]["prompt_tokens"]
        reported = client.get("/healthz").json()["model"]["kv_cache_bytes"]
        before = resident_bytes(service.popen.pid)
        generate(count=64, total=context // 4)
        generate(count=16, total=context)
        grown = resident_bytes(service.popen.pid, peak=True) - before
    assert 0.8 * 16 * context * layers * 2048 < grown < reported + 64 * MB, (grown // MB, reported // MB)
