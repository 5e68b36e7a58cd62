"""A disk that is full costs single requests, never the figures of the run."""

import json
import os
import subprocess
import sys

import pytest

from loadgen.report.reading import read_document

pytestmark = pytest.mark.slow
# A file system of its own, which ends with the command; what it holds in the end is copied out.
SCRIPT = (
    'mount -t tmpfs -o size=$1 tmpfs "$2"; shift; cd "$1"; shift; "$@"; status=$?; cp -r . "$RESULTS"; exit $status'
)


@pytest.mark.parametrize(
    ("size", "status", "stays"),
    [("64k", 98, "the records fill the disk"), ("256k", 1, "the records fit, the requests as JSON do not")],
    ids=["records", "JSON"],
)
def test_where_the_disk_is_full_every_figure_is_written(stub, tmp_path, size, status, stays):
    disk, results = tmp_path / "disk", tmp_path / "results"
    disk.mkdir(), results.mkdir()
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*isolated, "mount -t tmpfs tmpfs /mnt"], capture_output=True).returncode:
        pytest.skip("this machine allows no mounts in a namespace")
    load = ["classifier", "--url", stub.url, "--dataset-size", "20", "--workers", "1", "--max-in-flight", "100"]
    words = [*load, "--rate", "1000", "--duration-seconds", "1.5", "--output", "run.json", "--report", "run.html"]
    done = subprocess.run(
        [*isolated, SCRIPT, "sh", size, str(disk), sys.executable, "-m", "loadgen", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"RESULTS": str(results), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "--output run.json: No space left on device; every figure is written, `requests` is null.\n" in done.stderr
    assert done.returncode in (status, 98), stays
    assert sorted(file.name for file in results.iterdir()) == ["run.html", "run.json"]
    assert json.loads((results / "run.json").read_text())["requests"] is None
    document = read_document(results / "run.json")
    assert document["summary"]["requests"] == document["summary"]["succeeded"] > 0
    assert (document["run"]["ended_by"] == "duration") == (status == 1)
