"""The data set and the three models of the demonstration, each made once."""

import functools

from ci import python
from ci.cache import CACHE, CHECKOUT
from ci.run import run
from ci.steps import Step

FORESTS = {"mnist_rf_v1": (100, 10), "mnist_rf_v2": (200, 12)}  # version id -> trees, depth
LANGUAGE_MODEL = "smollm2-135m-instruct_v1"


def steps() -> list[Step]:
    """The data set, then what is made of it; they need the step `python`."""
    return [
        Step("mnist", fetch_mnist, ("python",), mnist_ready),
        *(
            Step(f"train {name}", functools.partial(train_forest, name), ("mnist",), functools.partial(published, name))
            for name in FORESTS
        ),
        Step("language model", prepare_language_model, ("python",), functools.partial(published, LANGUAGE_MODEL)),
    ]


def mnist_ready() -> bool:
    return (CACHE / "mnist/mnist.npz").exists()


def fetch_mnist() -> None:
    _training("data")


def published(version_id: str) -> bool:
    """A manifest is written last, so it stands for the whole artifact."""
    return (CHECKOUT / f"models/{version_id}.json").exists()


def train_forest(version_id: str) -> None:
    trees, depth = FORESTS[version_id]
    sizes = ["--n-estimators", trees, "--max-depth", depth, "--train-ratio", 0.8]
    _training("classifier", *sizes, "--version-id", version_id)


def prepare_language_model() -> None:
    _training("lm", "--version-id", LANGUAGE_MODEL)


def _training(*words: object) -> None:
    run([python.executable(), "-m", "training", *words], cwd=CHECKOUT, env=python.path_with(python.npm()))
