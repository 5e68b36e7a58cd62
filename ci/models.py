"""The data set and the three models of the demonstration, each made once."""

import sys
from functools import partial

from ci import python
from ci.cache import CACHE, CHECKOUT
from ci.run import run, succeeds
from ci.steps import Step

FORESTS = {"mnist_rf_v1": (100, 10), "mnist_rf_v2": (200, 12)}  # version id -> trees, depth
LANGUAGE_MODEL = "smollm2-135m-instruct_v1"


def steps() -> list[Step]:
    """The data set, then what is made of it; they need the step `python`."""
    patient = partial(Step, patient=True)
    return [
        patient("mnist", fetch_mnist, ("python",), mnist_ready),
        *(
            patient(f"train {name}", partial(train_forest, name), ("mnist",), partial(published, name))
            for name in FORESTS
        ),
        patient("language model", prepare_language_model, ("python",), partial(published, LANGUAGE_MODEL)),
    ]


def mnist_ready() -> bool:
    return (CACHE / "mnist/mnist.npz").exists()


def fetch_mnist() -> None:
    _training("data")


def published(version_id: str) -> bool:
    """Whether the registry vouches for this version: artifact and manifest are there and agree."""
    artifact = CHECKOUT / "models" / (version_id if version_id == LANGUAGE_MODEL else f"{version_id}.joblib")
    verify = [sys.executable, "-m", "models.registry", "verify", artifact]
    return succeeds(verify, cwd=CHECKOUT, timeout=120)


def train_forest(version_id: str) -> None:
    trees, depth = FORESTS[version_id]
    sizes = ["--n-estimators", trees, "--max-depth", depth, "--train-ratio", 0.8]
    _training("classifier", *sizes, "--version-id", version_id, "--force")  # what an interrupt left is replaced


def prepare_language_model() -> None:
    _training("lm", "--version-id", LANGUAGE_MODEL, "--force")


def _training(*words: object) -> None:
    run([python.executable(), "-m", "training", *words], cwd=CHECKOUT, env=python.path_with(python.npm()))
