"""Knows the classifier's engines. onnxruntime is large, so it has an image of its own; others refuse its models."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from apps.serving.identity import LoadError


@dataclass(frozen=True)
class Entry:
    """An engine: the `package` that it needs, and the `image` and `extra` that install it."""

    package: str
    image: str
    extra: str


FOREST, ONNX = "sklearn-forest", "onnx"
ENGINES = {
    FOREST: Entry("numpy", "classifier-service:v1", "classifier"),
    ONNX: Entry("onnxruntime", "classifier-service:v1-onnx", "classifier-onnx"),
}


def require(engine: str, path: Path) -> None:
    """Raise LoadError unless `engine`, which the model at `path` needs, is installed."""
    if engine not in ENGINES:
        known = " and ".join(map(repr, ENGINES))
        raise LoadError(f"{str(path)!r} is for the engine {engine!r}; this service knows {known}.")
    entry = ENGINES[engine]
    if find_spec(entry.package) is None:
        raise LoadError(
            f"{str(path)!r} is for the engine {engine!r}, which this image does not have. Use the image {entry.image} "
            f"(outside of images: pip install '.[{entry.extra}]')."
        )
