"""The engine `openvino` as in its image, without torch, keeps the contract of the same model on torch."""

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tokenizers import Tokenizer

from apps.lm.tests import process, tiny
from apps.lm.tests.conftest import SHIPPED, make_shipped
from apps.serving.tests.processes import ROOT, Process, resident_bytes, running, until
from models.registry import manifest_path

pytestmark = [pytest.mark.service, pytest.mark.full]
SECONDS = 120  # for a start or an answer on a busy machine
MEMORY = 1 << 30  # bytes; the chart gives torch twice as much
LONG = {"prompt": "Once upon a time", "max_new_tokens": 240}
PROMPTS = [
    "The capital of France is",
    "  two  spaces and 1234 digits",
    "naïve 数学 🦊🦊",
    "<|im_start|>user\nHi<|im_end|>\n",
]


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """Python of an environment with the extra `lm-openvino` only, as in the image."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", f"{folder}[lm-openvino]"]
    subprocess.run(pip, check=True)
    return folder / "venv/bin/python"


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder with both versions."""
    return make_shipped(tmp_path_factory.mktemp("models"), v1="transformers", v2="openvino")


@pytest.fixture(scope="module")
def service(python, models) -> Iterator[Process]:
    """The service on OpenVINO."""
    with _starting(models, "v2", python) as service:
        service.expect("ready", SECONDS)
        yield service


@pytest.fixture(scope="module")
def openvino(service) -> Iterator[httpx.Client]:
    """A client of the service on OpenVINO."""
    with process.client(service) as client:
        client.timeout = httpx.Timeout(SECONDS)
        yield client


@pytest.fixture(scope="module")
def torch(models) -> Iterator[httpx.Client]:
    """A client of a service on torch."""
    settings = {"model_name": models / f"{SHIPPED}_v1", "request_timeout_seconds": SECONDS}
    with process.serving(**settings) as service, process.client(service) as client:
        client.timeout = httpx.Timeout(SECONDS)
        yield client


@contextmanager
def _starting(
    models: Path, version: str, python: Path, program: Path | None = None, **settings: object
) -> Iterator[Process]:
    """Start with compiled sources, as in an image; `program` runs it if it is not `python`."""
    settings |= {"MODEL_NAME": models / f"{SHIPPED}_{version}", "REQUEST_TIMEOUT_SECONDS": SECONDS, "DRAIN_SECONDS": 0}
    compiled = {"PYTHONPYCACHEPREFIX": python.parent / "compiled", "PYTHONDONTWRITEBYTECODE": ""}
    with running("apps.lm", ready=False, python=program or python, **settings, **compiled) as service:
        yield service


def generate(client: httpx.Client, **body: object) -> dict:
    answer = client.post("/generate", json=body)
    return answer.json() if answer.status_code == 200 else {"status": answer.status_code, **answer.json()}


def generate_concurrently(client: httpx.Client, bodies: list[dict]) -> list[dict]:
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: generate(client, **body), bodies))


def test_it_needs_neither_torch_nor_transformers(python, service, openvino):
    program = "import importlib.util as u; print([n for n in ('torch', 'transformers') if u.find_spec(n)])"
    assert subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
    health = openvino.get("/healthz").json()["model"]
    assert (health["engine"], health["version"], health["dtype"]) == ("openvino", "v2", "int8")
    assert {line["level"] for line in service.log} == {"info"}, "OpenVINO's telemetry would log a warning"


@pytest.mark.parametrize(("version", "max_seconds"), [("v2", 3.5), ("v1", 9)], ids=["openvino", "torch"])
def test_a_start_with_a_warm_page_cache_takes_few_seconds_of_cpu_time(python, models, version, max_seconds):
    """CPU time, because other processes on the machine multiply the time on the clock."""
    program = Path(sys.executable) if version == "v1" else None

    def cpu_seconds() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def start_seconds() -> float:
        before = cpu_seconds()
        with _starting(models, version, python, program) as service:
            service.expect("ready", SECONDS)
        return cpu_seconds() - before

    assert min(start_seconds() for _ in range(5)) < max_seconds  # the first start compiles imports


def test_without_torch_v1_is_refused_and_the_image_for_it_is_named(python, models):
    with _starting(models, "v1", python) as service:
        assert service.wait() == 1
    (line,) = [line for line in service.log if line["level"] == "error"]
    assert "for the engine 'transformers', and this image has openvino. Use the image lm-service:v1 " in line["message"]


def test_a_gpu_that_is_demanded_is_refused(python, models):
    with _starting(models, "v2", python, DEVICE="cuda") as service:
        assert service.wait() == 1
    (line,) = [line for line in service.log if line["level"] == "error"]
    assert line["message"] == (
        "DEVICE='cuda', and the engine openvino computes on CPUs only. Set DEVICE to auto or cpu."
    )


def test_a_folder_without_weights_ends_the_process_with_one_line(python, models, tmp_path):
    shutil.copytree(models / f"{SHIPPED}_v2", tmp_path / "broken_v2", ignore=shutil.ignore_patterns("*.bin"))
    tiny.publish(tmp_path / "broken_v2", engine="openvino")
    with running("apps.lm", ready=False, python=python, MODEL_NAME=tmp_path / "broken_v2") as service:
        assert service.wait() == 1
    (line,) = [line for line in service.log if line["level"] == "error"]
    assert "is not a model for OpenVINO with its tokenizer" in line["message"] and "\n" not in line["message"]


def test_it_answers_its_probes(openvino, models):
    for probe in json.loads(manifest_path(models / f"{SHIPPED}_v2").read_text())["probes"]:
        answer = generate(openvino, prompt=probe["prompt"], max_new_tokens=probe["max_new_tokens"])
        assert answer["generated_text"] == probe["generated_text"]


@pytest.mark.parametrize(
    ("prompt", "max_tokens"), [*((prompt, 8) for prompt in PROMPTS), ("a " * 250, 300), ("a " * 300, 1), ("", 1)]
)
def test_usage_finish_reasons_and_errors_are_those_of_torch(openvino, torch, prompt, max_tokens):
    ours, theirs = (generate(client, prompt=prompt, max_new_tokens=max_tokens) for client in (openvino, torch))
    assert ours.get("errors") == theirs.get("errors")
    assert [ours.get(key) for key in ("finish_reason", "usage")] == [
        theirs.get(key) for key in ("finish_reason", "usage")
    ]


def test_a_chat_has_the_same_prompt_tokens_and_ends_with_an_end_token(openvino, torch):
    body = {
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "model": SHIPPED,
        "temperature": 0,
    }
    theirs = torch.post("/v1/chat/completions", json=body | {"max_tokens": 1}).json()
    ours = openvino.post("/v1/chat/completions", json=body | {"max_tokens": 200}).json()
    assert ours["usage"]["prompt_tokens"] == theirs["usage"]["prompt_tokens"]
    assert (ours["choices"][0]["finish_reason"], theirs["choices"][0]["finish_reason"]) == ("stop", "length")


def test_a_stop_sequence_across_tokens_ends_the_answer_before_it(openvino):
    whole = generate(openvino, prompt="1, 2, 3, 4, 5, 6,", max_new_tokens=40)["generated_text"]
    assert "10, 11" in whole
    cut = generate(openvino, prompt="1, 2, 3, 4, 5, 6,", max_new_tokens=40, stop=["0, 1"])
    assert (cut["generated_text"], cut["finish_reason"]) == (whole[: whole.index("0, 1")], "stop")


def test_emoji_are_streamed_whole(openvino):
    body = {"prompt": "🦊🐻🦊🐻🦊🐻🦊🐻🦊🐻🦊", "max_new_tokens": 40}
    whole = generate(openvino, **body)["generated_text"]
    with openvino.stream("POST", "/generate", json=body | {"stream": True}) as answer:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    pieces = [event["text"] for event in events[:-1]]
    assert "".join(pieces) == whole == events[-1]["generated_text"]
    assert any(ord(character) > 0xFFFF for character in whole) and "\N{REPLACEMENT CHARACTER}" not in whole


def test_an_answer_is_the_same_alone_and_in_company_and_a_seed_repeats_it(openvino):
    sampled = {"prompt": "My favourite animal is", "max_new_tokens": 30, "temperature": 1.0, "top_p": 0.95, "top_k": 50}
    bodies = [sampled | {"seed": seed} for seed in range(6)]
    alone = [generate(openvino, **body)["generated_text"] for body in bodies]
    greedy = [{"prompt": prompt * repeat, "max_new_tokens": 60} for prompt in PROMPTS for repeat in (1, 6)]
    alone += [generate(openvino, **body)["generated_text"] for body in greedy]
    together = generate_concurrently(openvino, bodies + greedy)
    assert [answer["generated_text"] for answer in together] == alone
    assert len(set(alone[:6])) == 6
    assert len({generate(openvino, **sampled)["generated_text"] for _ in range(3)}) == 3


def test_the_largest_batch_stays_within_its_memory(service, openvino):
    lists = [
        ", ".join(map(str, range(n, n + 30))) + "," for n in range(1, 17)
    ]  # the model continues the numbers without an end
    bodies = [{"prompt": prompt, "max_new_tokens": 300} for prompt in lists]
    answers = generate_concurrently(openvino, bodies)
    assert {answer["usage"]["total_tokens"] for answer in answers} == {256}
    health = openvino.get("/healthz").json()["model"]
    token_bytes = 2 * 30 * 3 * 64 * 2  # keys and values, layers, key-value heads, numbers of a head, their bytes
    assert 1 < health["kv_cache_bytes"] / (health["max_batch_total_tokens"] * token_bytes) < 2
    assert resident_bytes(service.popen.pid, peak=True) < MEMORY


def test_a_client_that_disconnects_frees_the_model_and_an_idle_service_uses_no_cpu(service, openvino):
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            openvino.post("/generate", json=LONG, timeout=0.3)
    assert generate(openvino, prompt="1, 2, 3,", max_new_tokens=2)["timings"]["total_seconds"] < 1

    def idle() -> bool:
        before = service.cpu_seconds()
        time.sleep(1)
        return service.cpu_seconds() - before < 0.02

    until(idle)


def complete(client: httpx.Client, **body: object) -> dict:
    common = {"model": SHIPPED, "prompt": "The capital of France is", "temperature": 0, "max_tokens": 24}
    return client.post("/v1/completions", json=common | body).json()


def test_it_computes_the_parameters_of_v1(openvino):
    def text(**body: object) -> str:
        return complete(openvino, **body)["choices"][0]["text"]

    greedy = text()
    assert text(temperature=1, seed=1, min_p=1) == greedy, "only the most likely token is left"
    assert text(temperature=1, seed=-5) == text(temperature=1, seed=-5) != text(temperature=1, seed=-6)
    for penalty in ({"repetition_penalty": 1.5}, {"presence_penalty": 2}, {"frequency_penalty": 2}):
        assert text(**penalty) == text(**penalty) != greedy, penalty
    for longer in ({"ignore_eos": True}, {"min_tokens": 200}):
        assert complete(openvino, max_tokens=200, **longer)["usage"]["completion_tokens"] == 200, longer


@pytest.mark.parametrize("sampling", [{}, {"temperature": 2, "seed": 1, "top_k": 5}, {"presence_penalty": 2}])
def test_logprobs_of_its_tokens_are_the_models_own_about_as_on_torch(openvino, torch, sampling):
    ours = complete(openvino, logprobs=0, max_tokens=12, **sampling)["choices"][0]
    text = "The capital of France is" + ours["text"]
    scored = complete(torch, prompt=text, echo=True, logprobs=0, max_tokens=1)["choices"][0]["logprobs"]
    start = len(scored["tokens"]) - 1 - len(ours["logprobs"]["tokens"])
    assert scored["tokens"][start:-1] == ours["logprobs"]["tokens"], "the text has one tokenization"
    pairs = list(zip(ours["logprobs"]["token_logprobs"], scored["token_logprobs"][start:-1], strict=True))
    assert len(pairs) == 12
    assert all(abs(one - other) < 1 for one, other in pairs), pairs


@pytest.mark.parametrize("repeat", [1, 12])
def test_logprobs_of_a_prompt_are_about_those_on_torch_and_change_no_answer(openvino, torch, repeat):
    body = {"prompt": "The capital of France is Paris. " * repeat, "max_tokens": 8}
    echoed, scored = (complete(client, echo=True, logprobs=0, **body)["choices"][0] for client in (openvino, torch))
    assert echoed["text"] == body["prompt"] + complete(openvino, **body)["choices"][0]["text"]
    ours, theirs = echoed["logprobs"], scored["logprobs"]
    prompt = 1 + 7 * repeat
    assert ours["tokens"][:prompt] == theirs["tokens"][:prompt]
    assert "".join(ours["tokens"]) == echoed["text"]
    assert ours["token_logprobs"][0] is theirs["token_logprobs"][0] is None
    pairs = list(zip(ours["token_logprobs"][1:prompt], theirs["token_logprobs"][1:prompt], strict=True))
    assert all(abs(one - other) < 1 for one, other in pairs), pairs


def test_the_best_of_several_answers_has_the_highest_mean_logprob(openvino):
    body = {"temperature": 1, "seed": 1, "max_tokens": 8, "ignore_eos": True}
    several = complete(openvino, n=4, logprobs=0, **body)["choices"]
    best = max(several, key=lambda choice: sum(choice["logprobs"]["token_logprobs"]) / 8)
    assert complete(openvino, n=1, best_of=4, **body)["choices"][0]["text"] == best["text"]


def test_the_likeliest_tokens_are_about_those_on_torch(openvino, torch):
    body = {"prompt": "The capital of France is Paris.", "echo": True, "logprobs": 3, "max_tokens": 1}
    ours, theirs = (complete(client, **body)["choices"][0]["logprobs"]["top_logprobs"] for client in (openvino, torch))
    assert ours[0] is theirs[0] is None
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        assert len(one) in (3, 4), "the token itself may be a fourth"
        common = one.keys() & other.keys()
        assert len(common) >= 2 and all(abs(one[token] - other[token]) < 1 for token in common), (one, other)


def test_a_bias_excludes_a_token(openvino, models):
    first = complete(openvino, logprobs=0)["choices"][0]["logprobs"]["tokens"][0]
    (token,) = Tokenizer.from_file(str(models / f"{SHIPPED}_v2" / "tokenizer.json")).encode(first).ids
    biased = complete(openvino, logprobs=0, logit_bias={str(token): -100})["choices"][0]
    assert biased["logprobs"]["tokens"][0] != first


def test_answers_follow_a_schema(openvino):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    for seed in range(3):
        text = complete(openvino, response_format=form, max_tokens=80, temperature=1, seed=seed)["choices"][0]["text"]
        assert json.loads(text).keys() == {"name", "age"}


def test_logits_are_the_same_to_the_last_bit_however_they_are_computed(python, models):
    program = [python, "-m", "apps.lm.tests.engines.openvino.exactness", models / f"{SHIPPED}_v2"]
    for threads in ("1", "2", "4"):
        output = subprocess.run([*program, threads], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        differences = json.loads(output)
        assert len(differences) == 8 and set(differences.values()) == {0}, (threads, differences)
