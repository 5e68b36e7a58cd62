"""Knows all engines. An image has one of them, because each is large; a model of another engine is refused."""

import importlib
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from apps.lm.engines.protocol import EngineSettings, LoadedModel
from apps.serving.identity import LoadError
from apps.serving.machine import cpu


@dataclass(frozen=True)
class Entry:
    """An engine: `module` has its `load`, `package` is the library it needs, `image` and `extra` install that."""

    package: str
    module: str
    image: str
    extra: str


ENGINES = {
    "transformers": Entry("torch", "apps.lm.engines.transformers.loading", "lm-service:v1", "lm"),
    "openvino": Entry("openvino", "apps.lm.engines.openvino.loading", "lm-service:v1-openvino", "lm-openvino"),
}


def require(engine: str, model: str) -> None:
    """Raise LoadError unless `engine`, which `model` needs, is installed."""
    if engine not in ENGINES:
        raise LoadError(
            f"{model!r} is for the engine {engine!r}, and this service knows {' and '.join(ENGINES)}. "
            "Correct MODEL_NAME."
        )
    entry = ENGINES[engine]
    if find_spec(entry.package) is None:
        installed = " and ".join(name for name, other in ENGINES.items() if find_spec(other.package)) or "none"
        raise LoadError(
            f"{model!r} is for the engine {engine!r}, and this image has {installed}. Use the image {entry.image} "
            f"(outside of images: pip install '.[{entry.extra}]'), or correct MODEL_NAME."
        )


def start_import(engine: str) -> None:
    """Import `engine` in a thread, which takes seconds, while its model is verified. `load` reports import errors."""

    def import_it() -> None:
        with suppress(Exception):
            _load_function(engine)

    threading.Thread(target=import_it, name="import", daemon=True).start()


def load(engine: str, folder: Path, settings: EngineSettings) -> LoadedModel:
    """Load the model in `folder` with `engine`; raise LoadError."""
    return _load_function(engine)(folder, settings)


def _load_function(engine: str) -> Callable[[Path, EngineSettings], LoadedModel]:
    # torch reads it when it is imported. One CPU is left to the event loop, the tokenizer and other processes (with two
    # CPUs, also to prefill): OpenMP waits for its slowest thread, so with a thread per CPU any other load delays all.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpu.threads() - 1)))
    # OpenVINO would import its model converter, which takes time and sends telemetry.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]  # None makes the import fail
    function: Callable[[Path, EngineSettings], LoadedModel] = importlib.import_module(ENGINES[engine].module).load
    return function
