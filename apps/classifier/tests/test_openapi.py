"""The running service does what its OpenAPI document says, whatever schemathesis thinks of to send."""

import subprocess
import sys

import pytest

from apps.serving.tests.processes import running

pytestmark = [pytest.mark.service, pytest.mark.full]
# A body that the schema allows may be refused: a picture can be blank, and bytes may be no picture.
OPTIONS = ["--exclude-checks=positive_data_acceptance", "--max-examples=25", "--request-timeout=10", "--seed=1"]
CONFIG = '[parameters]\n"path.name" = "tiny"\n"path.version" = "v1"\n'


def test_no_request_gets_a_5xx_or_an_answer_that_is_not_documented(artifact, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with running("apps.classifier", MODEL_PATH=artifact) as process:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{process.url}/openapi.json", *OPTIONS]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        log = process.log
    assert done.returncode == 0, done.stdout[-8000:]
    assert "Tested: 16" in done.stdout
    assert not [line for line in log if line["level"] == "error" or line.get("status", 0) >= 500]
