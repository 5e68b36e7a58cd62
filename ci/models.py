"""Steps that make the demonstration's data set and models, each only once."""

import json
import re
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path

from ci import images, python
from ci.cache import CACHE, CHECKOUT
from ci.run import run, succeeds
from ci.steps import Step

FORESTS = {"mnist_rf_v1": (100, 10), "mnist_rf_v2": (200, 12)}  # version id -> trees, depth
LANGUAGE_MODELS = {"smollm2-135m-instruct_v1": "transformers", "smollm2-135m-instruct_v2": "openvino"}


def selected_variants(checkout: Path = CHECKOUT) -> list[str]:
    """The images' variants that have the engines of the models in the chart's values-<model>.yaml."""
    engines = set()
    for values in (checkout / "charts/inference-service").glob("values-*.yaml"):
        version_id = "_".join(re.findall(r"(?m)^  (?:name|version): *(\S+)", values.read_text())[:2])
        manifest = checkout / f"models/{version_id}.json"
        made = LANGUAGE_MODELS.get(version_id)  # by a step, perhaps later
        engines.add(made or (manifest.exists() and json.loads(manifest.read_text())["engine"]))
    return [image for image, engine in images.VARIANTS.items() if engine in engines]


def steps(variants: Collection[str]) -> list[Step]:
    """Steps that make the data set and the models; they come after the step `python`."""
    background_step = partial(Step, low_priority=True)
    languages = [
        name for name, engine in LANGUAGE_MODELS.items() if engine != "openvino" or images.OPENVINO in variants
    ]
    return [
        background_step("mnist", fetch_mnist, ("python",), mnist_ready),
        *(
            background_step(f"train {name}", partial(train_forest, name), ("mnist",), partial(published, name))
            for name in FORESTS
        ),
        *(
            background_step(f"prepare {name}", partial(prepare, name), ("python",), partial(published, name))
            for name in languages
        ),
    ]


def mnist_ready() -> bool:
    return (CACHE / "mnist/mnist.npz").exists()


def fetch_mnist() -> None:
    _training("data")


def published(version_id: str) -> bool:
    """Whether this version is complete: the registry verifies its artifact against its manifest."""
    artifact = CHECKOUT / "models" / (f"{version_id}.joblib" if version_id in FORESTS else version_id)
    verify = [sys.executable, "-m", "models.registry", "verify", artifact]
    return succeeds(verify, cwd=CHECKOUT, timeout=120)


def train_forest(version_id: str) -> None:
    trees, depth = FORESTS[version_id]
    sizes = ["--n-estimators", trees, "--max-depth", depth, "--train-ratio", 0.8]
    _training("classifier", *sizes, "--version-id", version_id, "--force")  # replaces a partial version


def prepare(version_id: str) -> None:
    _training("lm", "--version-id", version_id, "--engine", LANGUAGE_MODELS[version_id], "--force")


def _training(*words: object) -> None:
    run([python.executable(), "-m", "training", *words], cwd=CHECKOUT, env=python.path_with(python.npm()))
