"""The memory and time that the largest pictures, and small files that decompress to large ones, cost the process."""

import http.client
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import cache

import httpx
import pytest

from apps.classifier.tests.pictures.pictures import BOUNDS, bar, chunk, drawn, encoded, with_scans, with_segments
from apps.serving.tests.processes import ROOT, Process, running, until

pytestmark = pytest.mark.service
A4 = 4960, 7016  # at 600 dpi
EXTRA_BYTES = 32_000_000  # besides the decoded picture: strips, the stripped file, what malloc keeps of the last one
STRETCH_SECONDS = 1  # of CPU between two checks for cancellation
SECONDS = 120  # for a busy machine
LARGE = 10_400_000  # bytes of a file, just within MAX_IMAGE_BYTES
JPEG = {"content-type": "image/jpeg"}
SMALL_PNG, SMALL_JPEG = encoded(drawn()), encoded(drawn(), "JPEG")


@cache
def page() -> bytes:
    """A seven on an A4 page, as a progressive JPEG without subsampling."""
    return encoded(drawn(A4, (1000, 1000), width=200), "JPEG", progressive=True, subsampling=0)


def with_chunks(chunks: bytes) -> bytes:
    """The small PNG with chunks behind its header."""
    return SMALL_PNG[:33] + chunks + SMALL_PNG[33:]


def overlapping_exif() -> bytes:
    """An EXIF block whose 5,000 entries all point to the same 60,000 bytes."""
    entries = b"".join(struct.pack("<HHII", 1000 + number, 1, 60_000, 10) for number in range(5000))
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries + bytes(4)
    return b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block


def long_frames() -> bytes:
    """Frame headers that name 21,842 components where they count one."""
    return (b"\xff\xc0\xff\xfe\x08\0\1\0\1\1" + b"\1\x11\0" * 21_842) * (LARGE // 65_536)


# Name -> how it is made, the bytes that decoding takes, and whether it is answered.
PICTURES: dict[str, tuple[Callable[[], bytes], int, bool]] = {
    "grey of 7000 x 7000": (lambda: bar(7000, 7000), 49_000_000, True),
    "a camera's": (lambda: bar(6000, 4000, 2), 96_000_000, True),
    "an A4 page, colour": (lambda: bar(*A4, 2), 139_197_440, True),
    "an A4 page, transparent": (lambda: bar(*A4, 6), 139_197_440, True),
    "an A4 page, progressive": (page, 210_971_120, True),
    "the largest": (lambda: bar(7071, 7071, 6), 199_996_164, True),
    "the longest": (lambda: bar(70_000, 700), 49_000_000, True),
    "a line": (lambda: bar(10_000_000, 1), 0, False),
    "many scans": (lambda: with_scans(page(), 70), 210_971_120, True),
    "empty chunks": (lambda: with_chunks(chunk(b"prVt", b"") * (LARGE // 12)), 240_000, True),
    "empty data": (lambda: with_chunks(chunk(b"IDAT", b"") * (LARGE // 12)), 240_000, True),
    "texts": (lambda: with_chunks(chunk(b"tEXt", b"key\0text") * (LARGE // 20)), 240_000, True),
    "empty segments": (lambda: with_segments(SMALL_JPEG, b"\xff\xe3\0\2" * (LARGE // 4)), 0, False),
    "long frames": (lambda: with_segments(SMALL_JPEG, long_frames()), 60_000, True),
    "overlapping EXIF": (lambda: with_segments(SMALL_JPEG, overlapping_exif()), 60_000, True),
    "no end": (lambda: SMALL_JPEG[:200] + b"\xff" * LARGE, 0, False),
}


@pytest.fixture(scope="module")
def costs(tmp_path_factory) -> dict[str, tuple[int, float, str | None]]:
    """Of each picture: peak bytes beyond those at rest, longest CPU seconds without a check, and the problem."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, (make, *_) in PICTURES.items():
        (folder / name).write_bytes(make())
    command = [sys.executable, "-m", "apps.classifier.tests.pictures.picture_costs", *PICTURES]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return json.loads(subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_costs_what_its_header_says(costs, name):
    _, decoded_bytes, answered = PICTURES[name]
    peak, stretch, problem = costs[name]
    assert (problem is None) == answered, problem
    assert decoded_bytes < BOUNDS.decoded_bytes and peak < decoded_bytes + EXTRA_BYTES
    assert stretch < STRETCH_SECONDS


def test_decoding_a_picture_stops_when_its_client_hangs_up(artifact):
    content = with_scans(page(), 30)
    with running("apps.classifier", MODEL_PATH=artifact, REQUEST_TIMEOUT_SECONDS=SECONDS) as process:
        begun = process.cpu_seconds()
        answer = httpx.post(f"{process.url}/predict/image", content=content, headers=JPEG, timeout=SECONDS)
        assert answer.status_code == 200
        whole = process.cpu_seconds() - begun
        with closing(http.client.HTTPConnection("127.0.0.1", process.port)) as connection:
            connection.request("POST", "/predict/image", content, JPEG)
            until(lambda: in_flight(process) == 1, SECONDS)
        left = process.cpu_seconds()
        until(lambda: in_flight(process) == 0, SECONDS)
        assert process.cpu_seconds() - left < whole / 2


def in_flight(process: Process) -> int:
    text = httpx.get(f"{process.url}/metrics").text
    line = re.search(r"^inference_in_flight.* (\S+)$", text, re.MULTILINE)
    assert line is not None
    return int(float(line[1]))
