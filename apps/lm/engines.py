"""Which engine computes which model, and whether this image has it: an image holds one, for each is large."""

import importlib
import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from apps.serving import cpu
from apps.serving.identity import LoadError

if TYPE_CHECKING:
    from apps.lm.model import LanguageModel
    from apps.lm.settings import LanguageModelSettings
    from apps.lm.source import Source

TRANSFORMERS = "transformers"


@dataclass(frozen=True)
class Runtime:
    """`package` is there where the engine is; `module` has its `load`; `image` and `extra` bring it."""

    package: str
    module: str
    image: str
    extra: str


ENGINES = {
    TRANSFORMERS: Runtime("torch", "apps.lm.loading", "lm-service:v1", "lm"),
    "openvino": Runtime("openvino_genai", "apps.lm.openvino_loading", "lm-service:v1-openvino", "lm-openvino"),
}


def require(engine: str, model: str) -> None:
    """Raise LoadError unless `engine`, which `model` is for, is installed here."""
    if engine not in ENGINES:
        raise LoadError(
            f"{model!r} is for the engine {engine!r}, and this service knows {' and '.join(ENGINES)}. "
            "Correct MODEL_NAME."
        )
    runtime = ENGINES[engine]
    if find_spec(runtime.package) is None:
        here = " and ".join(name for name, other in ENGINES.items() if find_spec(other.package)) or "none"
        raise LoadError(
            f"{model!r} is for the engine {engine!r}, and this image has {here}. Use the image {runtime.image} "
            f"(outside of images: pip install '.[{runtime.extra}]'), or correct MODEL_NAME."
        )


def begin(engine: str) -> None:
    """Import `engine` in the background, which takes seconds, while its model is verified; `load` tells what fails."""

    def importing() -> None:
        with suppress(Exception):
            _module(engine)

    threading.Thread(target=importing, name="import", daemon=True).start()


def load(found: "Source", settings: "LanguageModelSettings") -> "LanguageModel":
    """Load a model by its engine, ready for its warm-up; raise LoadError."""
    return _module(found.engine).load(found, settings)


def _module(engine: str) -> Any:
    # Read when torch is imported. One CPU is left to the event loop, the tokenizer and neighbours (of two, to prompts
    # too): OpenMP's threads wait for the slowest of them, so where each CPU has one, any neighbour holds up all.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpu.threads() - 1)))
    # Not to be imported with OpenVINO: a converter, which takes time and reports to its makers.
    sys.modules.setdefault("openvino.tools.ovc", None)
    return importlib.import_module(ENGINES[engine].module)
