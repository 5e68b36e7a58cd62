"""A start takes as long as its imports: only needed packages, and under a second."""

import sys
import time
from importlib.util import find_spec

import httpx
import pytest

from apps.classifier.tests import forests
from apps.serving.tests.processes import running

MODULE = "apps.classifier"
FEATURES = {"features": forests.images(1)[0].tolist(), "scale": 255}
NEEDED = {
    "annotated_doc", "annotated_types", "anyio", "apps", "click", "dotenv", "fastapi", "httptools",
    "models", "numpy", "opentelemetry", "prometheus_client", "pydantic", "pydantic_core", "pydantic_settings",
    "sniffio", "starlette", "typing_extensions", "typing_inspection", "uvicorn", "uvloop",
}  # fmt: skip


@pytest.mark.service
def test_a_start_imports_only_what_a_prediction_needs(artifact):
    with running(MODULE, MODEL_PATH=artifact, PYTHONPROFILEIMPORTTIME=1) as process:
        assert httpx.post(f"{process.url}/predict", json=FEATURES).status_code == 200
        lines = [line for line in process.output if line.startswith("import time:")]
    names = [line.rpartition("|")[2].strip() for line in lines]
    packages = {name.partition(".")[0] for name in names[names.index("site") + 1 :]} - sys.stdlib_module_names
    imported = {name for name in packages if find_spec(name)}  # others were only looked for
    assert {name for name in imported - NEEDED if not name.startswith("_sysconfigdata")} == set()


@pytest.mark.service
@pytest.mark.full
def test_from_start_to_ready_takes_less_than_a_second(artifact):
    """The best of five, because other work on the machine delays some."""

    def start() -> float:
        begun = time.monotonic()
        with running(MODULE, MODEL_PATH=artifact):
            return time.monotonic() - begun

    assert min(start() for _ in range(5)) < 1
