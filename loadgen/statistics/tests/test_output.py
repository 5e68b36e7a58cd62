"""The document goes where `--output` points, whole or not at all, and never replaces what is no regular file."""

import errno
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loadgen.commands import files
from loadgen.engine.stop import Stop
from loadgen.statistics import output
from loadgen.statistics.document import document
from loadgen.statistics.tests.synthetic import failure, recorded, row


@pytest.fixture
def run(tmp_path):
    rows = [failure(0.5, 0.1, detail=3, request_id=1), row(1.0, 0.5, pod=1, version=2, sample=3, correct=1)]
    return recorded(tmp_path / "records", rows, [row(0.2, 0.1)], texts=["pod-a", "v1", "Busy"])


def write(path, run):
    with files.opened(str(path)) as file:
        output.write(file, document(run, {"workers": 1}), run)


def read(path):
    return json.loads(path.read_text())


def test_document_ends_with_every_request_in_the_order_of_their_ends(run, tmp_path):
    write(tmp_path / "x.json", run)
    written = read(tmp_path / "x.json")
    assert list(written)[:2] == ["schema_version", "summary"] and list(written)[-1] == "requests"
    first, second, third = written["requests"]
    assert (first["end"], second["end"], third["end"]) == (0.3, 0.6, 1.5)
    assert (second["outcome"], second["detail"], second["request_id"]) == ("http", "Busy", "request-1")
    assert (third["served_by"], third["model_version"], third["sample_index"], third["correct"]) == (
        "pod-a",
        "v1",
        3,
        True,
    )
    assert first["served_by"] is first["correct"] is first["first_token"] is first["request_id"] is None
    assert len((tmp_path / "x.json").read_text().split('"requests": [\n')[1].splitlines()) == 5


def test_settings_and_provenance_are_recorded_and_user_info_is_not(run, tmp_path):
    write(tmp_path / "x.json", run)
    written = read(tmp_path / "x.json")
    assert written["settings"] == {"workers": 1} and written["url"] == "http://127.0.0.1:1/x"
    assert "secret" not in (tmp_path / "x.json").read_text()
    assert written["run"]["version"] and written["run"]["commit"] and written["run"]["host"]["cores"]
    assert written["run"]["started_at"].startswith("2023-11-14T22:13:20")


def test_run_without_requests_is_valid_json(tmp_path):
    write(tmp_path / "x.json", recorded(tmp_path / "records"))
    assert read(tmp_path / "x.json")["requests"] == []


def test_regular_file_is_replaced_at_once_and_keeps_its_permissions(run, tmp_path):
    path = tmp_path / "x.json"
    path.write_text("previous")
    path.chmod(0o640)
    with path.open() as reader:
        write(path, run)
        assert reader.read() == "previous"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_new_file_has_the_permissions_of_the_umask(run, tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "x.json", run)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o640


def test_link_is_followed_and_stays_a_link(run, tmp_path):
    (tmp_path / "target.json").write_text("previous")
    for name, target in (("link", "target.json"), ("dangling", "new.json")):
        (tmp_path / name).symlink_to(target)
        write(tmp_path / name, run)
        assert (tmp_path / name).is_symlink()
        assert read(tmp_path / target)["schema_version"] == 2


def test_fifo_is_written_through(run, tmp_path):
    fifo, received = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: received.append(fifo.read_text()))
    reader.start()
    write(fifo, run)
    reader.join(10)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert len(json.loads(received[0])["requests"]) == 3


def test_device_stays_a_device(run, tmp_path):
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    for path in (device, Path("/dev/null")):
        write(path, run)
        assert stat.S_ISCHR(path.stat().st_mode)


def test_device_without_room_is_an_error_that_names_it(run):
    with pytest.raises(OSError, match="No space left on device"):
        write("/dev/full", run)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_standard_output_keeps_what_was_printed_before(tmp_path, path):
    code = (
        "import sys; from pathlib import Path\n"
        "from loadgen.commands import files\n"
        "from loadgen.statistics import output\n"
        "from loadgen.statistics.document import document\n"
        "from loadgen.statistics.tests.synthetic import recorded, row\n"
        "run = recorded(Path(sys.argv[1]) / 'records', [row()]); print('before', flush=True)\n"
        "files.write('output', sys.argv[2], lambda file: output.write(file, document(run, {}), run)); print('after')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code, tmp_path, path], check=True, stdout=out, env=environment)
    text = (tmp_path / "out").read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert len(json.loads(text.removeprefix("before\n").removesuffix("after\n"))["requests"]) == 1


def test_failed_write_leaves_the_previous_file_and_nothing_else(run, tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("previous")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(output, "requests", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, run)
    assert path.read_text() == "previous"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["x.json"]


def test_signals_while_the_document_is_written_let_it_be_completed(run, tmp_path, monkeypatch):
    rows = output.requests

    def interrupted(run):
        for request in rows(run):
            if request["end"] < 1:  # the first two of three
                os.kill(os.getpid(), signal.SIGTERM)
            yield request

    monkeypatch.setattr(output, "requests", interrupted)
    with Stop() as stop:
        write(tmp_path / "x.json", run)
    assert stop.signal == signal.SIGTERM
    assert len(read(tmp_path / "x.json")["requests"]) == 3


@pytest.mark.slow
def test_a_million_requests_need_less_than_150_mb(tmp_path):
    code = (
        "import re, sys; from pathlib import Path; import numpy as np\n"
        "from loadgen.statistics import output; from loadgen.statistics.document import document\n"
        "from loadgen.statistics.tests.synthetic import recorded, row\n"
        "folder = Path(sys.argv[1]); run = recorded(folder / 'records', [], []); rng = np.random.default_rng(1)\n"
        "for worker in (0, 1):\n"
        "    with (folder / f'records/records-{worker}').open('wb') as file:\n"
        "        for part in range(50):\n"
        "            rows = np.full(10_000, row()); rows['sent'] = rows['intended'] = rng.uniform(0, 10, 10_000)\n"
        "            rows['end'] = rows['sent'] + rng.exponential(0.01, 10_000); file.write(rows.tobytes())\n"
        "made = document(run, {}); output.write((folder / 'x.json').open('wb'), made, run)\n"
        "assert made['summary']['requests'] == 1_000_000\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    peak_kib = int(done.stdout)
    assert peak_kib * 1024 < 150_000_000, done.stdout


def keys(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_every_key_of_the_document_is_documented(run, tmp_path):
    write(tmp_path / "x.json", run)
    module = sys.modules[document.__module__].__doc__ or ""
    assert keys(read(tmp_path / "x.json")) - set(re.findall(r"\w+", module)) == set()
