"""The data set and the models of the demonstration, each made once."""

import re
import sys
from functools import partial

from ci import python
from ci.cache import CACHE, CHECKOUT
from ci.run import run, succeeds
from ci.steps import Step

FORESTS = {"mnist_rf_v1": (100, 10), "mnist_rf_v2": (200, 12)}  # version id -> trees, depth
LANGUAGE_MODELS = {"smollm2-135m-instruct_v1": "transformers", "smollm2-135m-instruct_v2": "openvino"}
LANGUAGE_VALUES = CHECKOUT / "charts/inference-service/values-lm.yaml"


def openvino_asked() -> bool:
    """Whether the values name a version that OpenVINO runs."""
    found = re.findall(r"(?m)^  (?:name|version): *(\S+)", LANGUAGE_VALUES.read_text())[:2]
    return LANGUAGE_MODELS.get("_".join(found)) == "openvino"


def steps(openvino: bool = False) -> list[Step]:
    """The data set, then what is made of it; they need the step `python`."""
    patient = partial(Step, patient=True)
    wanted = [name for name, engine in LANGUAGE_MODELS.items() if openvino or engine != "openvino"]
    return [
        patient("mnist", fetch_mnist, ("python",), mnist_ready),
        *(
            patient(f"train {name}", partial(train_forest, name), ("mnist",), partial(published, name))
            for name in FORESTS
        ),
        *(patient(f"prepare {name}", partial(prepare, name), ("python",), partial(published, name)) for name in wanted),
    ]


def mnist_ready() -> bool:
    return (CACHE / "mnist/mnist.npz").exists()


def fetch_mnist() -> None:
    _training("data")


def published(version_id: str) -> bool:
    """Whether the registry vouches for this version: artifact and manifest are there and agree."""
    artifact = CHECKOUT / "models" / (f"{version_id}.joblib" if version_id in FORESTS else version_id)
    verify = [sys.executable, "-m", "models.registry", "verify", artifact]
    return succeeds(verify, cwd=CHECKOUT, timeout=120)


def train_forest(version_id: str) -> None:
    trees, depth = FORESTS[version_id]
    sizes = ["--n-estimators", trees, "--max-depth", depth, "--train-ratio", 0.8]
    _training("classifier", *sizes, "--version-id", version_id, "--force")  # what an interrupt left is replaced


def prepare(version_id: str) -> None:
    _training("lm", "--version-id", version_id, "--engine", LANGUAGE_MODELS[version_id], "--force")


def _training(*words: object) -> None:
    run([python.executable(), "-m", "training", *words], cwd=CHECKOUT, env=python.path_with(python.npm()))
