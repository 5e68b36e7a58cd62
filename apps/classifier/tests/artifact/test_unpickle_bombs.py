"""Reading a small file never takes minutes, nor more memory than a pod has."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.classifier.tests.artifact.bombs import BOMBS

LIMIT, SECONDS = 512 * 1024**2, 10
READER = f"""
import json, resource, sys, time
from apps.classifier.artifact import content, loading
from apps.serving.tests.processes import resident_bytes
content.memory_limit = lambda: {LIMIT}
for path in sys.stdin:
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + {SECONDS}, -1))
    try:
        message = str(loading.load(path.strip()))
    except loading.ForestError as error:
        message = str(error)
    print(json.dumps([message, resident_bytes(peak=True)]), flush=True)
"""


class Reader:
    """A process that reads files one by one; the kernel kills it after SECONDS of CPU time, and a new one starts."""

    process: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> tuple[str, int]:
        """Return what `load` returned or raised, as text, and the peak of the process's memory in bytes."""
        if self.process is None:
            command = [sys.executable, "-c", READER]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None and self.process.stdout is not None
        print(path, file=self.process.stdin, flush=True)
        if not (line := self.process.stdout.readline()):
            self.end()
            pytest.fail(f"it computes for more than {SECONDS} s, or its process has died")
        message, peak = json.loads(line)
        return message, peak

    def end(self) -> None:
        if self.process is not None:
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.end()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_sentence_within_the_memory_of_a_pod(reader, tmp_path, name):
    make, words = BOMBS[name]
    (tmp_path / "bomb.joblib").write_bytes(make())
    message, peak = reader.read(tmp_path / "bomb.joblib")
    assert words in message and "\n" not in message
    assert peak < LIMIT
