"""The command line reports every mistake at once, with the option's value and the rule."""

import subprocess
import sys
from pathlib import Path

import pytest

from apps.classifier.artifact.loading import MAX_TREES
from training import options

ROOT = Path(__file__).parents[2]


def mistakes(capsys, *arguments: str) -> list[str]:
    with pytest.raises(SystemExit) as caught:
        options.parse(list(arguments))
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_every_mistake_is_reported_at_once(capsys):
    wrong = ["--n-estimators", "0", "--max-depth", "deep", "--train-ratio", "1", "--seed", "-1", "--n-jobs", "0"]
    assert mistakes(capsys, "classifier", *wrong, "--data-dir", "/nowhere", "--tree", "--version-id", "mnist") == [
        "--tree is not an option of `classifier`.",
        "--version-id is 'mnist' and must be a name, '_' and a version that begins with 'v', such as mnist_rf_v1.",
        "--n-estimators is '0' and must be a whole number from 1 to 5000.",
        "--max-depth is 'deep' and must be a whole number from 1 to 1000, or none.",
        "--train-ratio is '1' and must be a number between 0 and 1, such as 0.8.",
        "--seed is '-1' and must be a whole number from 0 to 4294967295.",
        "--n-jobs is '0' and must be a whole number from 1 to 1024, or -1.",
        "--data-dir is '/nowhere' and must be a folder that exists.",
    ]


@pytest.mark.parametrize("command", [["classifier"], ["lm", "--source", "someone/gpt2"]])
def test_missing_version_id_is_named_with_an_example(capsys, command):
    assert mistakes(capsys, *command) == [
        "--version-id is missing. Give a name, '_' and a version that begins with 'v', such as mnist_rf_v1."
    ]


def test_smollm2_has_a_default_version_id_for_each_engine():
    engines = {options.parse(["lm", *words]).version_id for words in ([], ["--engine", "openvino"])}
    assert engines == {"smollm2-135m-instruct_v1", "smollm2-135m-instruct_v2"}


def test_no_more_trees_are_trained_than_the_service_reads(capsys):
    words = ["classifier", "--version-id", "a_v1", "--n-estimators"]
    assert options.parse([*words, str(MAX_TREES)]).n_estimators == MAX_TREES
    (line,) = mistakes(capsys, *words, str(MAX_TREES + 1))
    assert line.startswith("--n-estimators is")


@pytest.mark.parametrize("ratio", ["nan", "inf", "0", "-0.5", "80%"])
def test_train_ratio_must_leave_images_on_both_sides(capsys, ratio):
    (line,) = mistakes(capsys, "classifier", "--version-id", "a_v1", "--train-ratio", ratio)
    assert line.startswith("--train-ratio is")


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        ("classifier", "'.[training]'"),
        (
            "lm",
            "--extra-index-url URL '.[training-lm]', where URL is PyTorch's index of CPU wheels; "
            "on Linux, PyPI's torch includes several GB of CUDA libraries.",
        ),
    ],
)
def test_missing_library_is_reported_with_the_extra_that_contains_it(command, remedy):
    arguments = [sys.executable, "-S", "-m", "training", command, "--version-id", "a_v1"]
    result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.endswith(f" is not installed. Run: pip install {remedy}\n")


def test_defaults_are_as_documented():
    parsed = options.parse(["classifier", "--version-id", "mnist_rf_v1"])
    assert (parsed.n_estimators, parsed.max_depth, parsed.train_ratio, parsed.seed) == (100, 10, 0.8, 42)
    assert (parsed.n_jobs, parsed.data_dir, str(parsed.models_dir), parsed.force) == (-1, None, "models", False)


def test_depth_none_means_no_limit():
    assert options.parse(["classifier", "--version-id", "a_v1", "--max-depth", "none"]).max_depth is None


@pytest.mark.parametrize("names", ["cat", "cat,cat", "cat,", ""])
def test_classes_are_at_least_two_different_names(capsys, names):
    rule = "must be at least two different names with commas between them, such as cat,dog."
    assert mistakes(capsys, "register", "own_v1.onnx", "--classes", names) == [f"--classes is {names!r} and {rule}"]
    assert options.parse(["register", "own_v1.onnx", "--classes", "cat, dog"]).classes == ("cat", "dog")
