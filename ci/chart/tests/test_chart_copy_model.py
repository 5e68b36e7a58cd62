"""The copy of a model out of its image runs as rendered, with a small disk where its folder is mounted."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.chart import rendering
from ci.chart.rendering import CHART

NAMESPACE = ["unshare", "--map-root-user", "--mount"]
may_mount = shutil.which("unshare") and subprocess.run([*NAMESPACE, "true"]).returncode == 0
pytestmark = pytest.mark.skipif(not may_mount, reason="this user may not mount a disk in a namespace of its own")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model's folder in its image: 1.5 MiB."""
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "mnist_rf_v1.joblib").write_bytes(bytes(1536 * 1024))
    (folder / "mnist_rf_v1.json").write_text("{}")
    return folder


def copied(
    source: Path, disk_mib: int, path: str = os.environ["PATH"]
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The outcome of the container's command on a disk of this size, and the files that it left there."""
    values = ("--set", f"model.hostPath.path=,model.image.reference=m:v1,model.image.path={source}/")
    rendered = rendering.template(f"--values={CHART}/values-classifier.yaml", *values)
    pod = rendering.of_kind(rendered, "Deployment")["r"]["spec"]["template"]["spec"]
    *command, target = pod["initContainers"][0]["command"]
    assert target == pod["initContainers"][0]["volumeMounts"][0]["mountPath"]
    disk = source.parent / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size={disk_mib}m tmpfs {shlex.quote(str(disk))}"
    script = f'{mount} && "$@"; status=$?; ls {shlex.quote(str(disk))}; exit $status'
    in_namespace = [*NAMESPACE, "sh", "-c", script, "sh", "env", f"PATH={path}"]
    done = subprocess.run([*in_namespace, *command, str(disk)], capture_output=True, text=True)
    return done, done.stdout.splitlines()


def test_a_model_that_fits_is_copied(model):
    done, files = copied(model, 4)
    assert (done.returncode, done.stderr) == (0, "")
    assert files == ["mnist_rf_v1.joblib", "mnist_rf_v1.json"]


def test_a_model_larger_than_the_free_disk_is_refused_with_both_sizes_before_it_fills_the_disk(model):
    done, files = copied(model, 1)
    assert done.returncode == 1
    assert done.stderr == (
        f"{model} of the model's image has 2 MiB, and the node's disk has 1 MiB free. "
        "Free space on the node, or set model.image.path to a smaller folder.\n"
    )
    assert files == []


def test_an_image_without_du_and_df_copies_without_a_comparison(model):
    (model.parent / "bin").mkdir()
    for name in ("sh", "cp"):
        (model.parent / "bin" / name).symlink_to(f"/bin/{name}")
    done, files = copied(model, 4, path=str(model.parent / "bin"))
    assert (done.returncode, done.stderr, len(files)) == (0, "", 2)


def test_a_folder_that_the_image_lacks_is_named_in_one_line(model):
    done, files = copied(model / "absent", 4)
    assert done.returncode == 1 and files == []
    (line,) = done.stderr.splitlines()
    assert f"{model}/absent/." in line and "No such file or directory" in line
