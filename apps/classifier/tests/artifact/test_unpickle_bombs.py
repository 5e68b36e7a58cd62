"""A small file never costs much more than its size: neither minutes, nor the memory of a pod."""

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
        said = str(loading.load(path.strip()))
    except loading.ForestError as error:
        said = str(error)
    print(json.dumps([said, resident_bytes(peak=True)]), flush=True)
"""


class Reader:
    """A process that reads file after file; the kernel ends it after SECONDS of computing, then another begins."""

    process: subprocess.Popen | None = None

    def read(self, path: Path) -> list:
        if self.process is None:
            command = [sys.executable, "-c", READER]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(path, file=self.process.stdin, flush=True)
        if not (line := self.process.stdout.readline()):
            self.end()
            pytest.fail(f"it computes for more than {SECONDS} s, or its process has died")
        return json.loads(line)

    def end(self) -> None:
        if self.process is not None:
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.end()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_sentence_within_the_memory_of_a_pod(reader, tmp_path, name):
    make, words = BOMBS[name]
    (tmp_path / "bomb.joblib").write_bytes(make())
    said, peak = reader.read(tmp_path / "bomb.joblib")
    assert words in said and "\n" not in said
    assert peak < LIMIT
