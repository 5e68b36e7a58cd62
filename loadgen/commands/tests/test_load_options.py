"""Usage errors: every mistake is reported at once, with the value and the rule; exit status 2."""

import os

import pytest

from loadgen.commands.cli import main


def mistakes(capsys, *words):
    assert main(list(words)) == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == f"python -m loadgen {words[0]}:"
    return [line.strip() for line in lines]


def test_all_mistakes_are_reported_at_once(capsys, tmp_path):
    words = ["--url", "ftp://host/x", "--duration-seconds", "0", "--concurrency", "1.5", "--bogus"]
    words += ["--timeout-seconds", "inf", "--dataset-size", "21", "--output", f"{tmp_path}/none/x.json"]
    assert mistakes(capsys, "classifier", *words) == [
        "--bogus: not an option of this command.",
        "--url ftp://host/x: must be http://HOST:PORT/PATH or https://HOST:PORT/PATH.",
        "--duration-seconds 0: must be seconds from 0.001 to 2,592,000 (30 days).",
        "--concurrency 1.5: must be a whole number, at least 1.",
        "--timeout-seconds inf: must be seconds from 0.001 to 2,592,000 (30 days).",
        f"--output {tmp_path}/none/x.json: there is no folder {tmp_path}/none; create it first.",
        "--dataset-size 21: MNIST has 20 images.",
    ]


@pytest.mark.parametrize(
    ("command", "option", "value", "rule"),
    [
        ("lm", "--concurrency", "0", "must be a whole number, at least 1."),
        ("classifier", "--dataset-size", "-3", "must be a whole number, at least 1."),
        ("lm", "--duration-seconds", "nan", "must be seconds from 0.001 to 2,592,000 (30 days)."),
        ("lm", "--max-new-tokens", "0", "must be a whole number, at least 1."),
        ("lm", "--concurrency", "many", "must be a whole number, at least 1."),
        ("query", "--sample-index", "-1", "must be a whole number, at least 0."),
        ("query", "--sample-index", "20", "the last image is number 19."),
        ("lm", "--url", "127.0.0.1/generate", "must be http://HOST:PORT/PATH or https://HOST:PORT/PATH."),
        ("lm", "--url", "http://a..b/x", "must be http://HOST:PORT/PATH or https://HOST:PORT/PATH."),
        ("lm", "--url", f"http://{'a' * 64}/x", "must be http://HOST:PORT/PATH or https://HOST:PORT/PATH."),
        ("lm", "--url", "http://host:99999/x", "must be http://HOST:PORT/PATH or https://HOST:PORT/PATH."),
    ],
)
def test_wrong_value_is_reported_with_its_rule(capsys, command, option, value, rule):
    assert mistakes(capsys, command, option, value) == [f"{option} {value}: {rule}"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--rate", "1e9"], "--rate 1e9: must be requests a second from 0.001 to 1,000,000."),
        (
            ["--duration-seconds", "1e9"],
            "--duration-seconds 1e9: must be seconds from 0.001 to 2,592,000 (30 days).",
        ),
        (["--rate", "1e6"], "rate and length: are 120,000,000 requests; at most 20,000,000 fit into memory."),
        (
            ["--phase", "a:1000:0-100000", "--arrivals", "poisson"],
            "rate and length: are 50,000,000 requests; at most 20,000,000 fit into memory.",
        ),
        (
            ["--phase", "a:1:1e9"],
            "--phase[0].rate 1e9: must be requests a second up to 1,000,000: 10, or 10-50.",
        ),
        (["--workers", "9"], "--workers 9: one a core is best; the most here are 8."),
    ],
)
def test_what_would_exhaust_this_machine_is_refused_in_words(capsys, monkeypatch, words, line):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert mistakes(capsys, "lm", *words) == [line]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "has no rows below a header"),
        (b"a,b\n", "has no rows below a header"),
        (b"a,a\n1,2\n", "has several columns 'a'"),
        (b"a,b\n1,2\n3\n", "has 1 values in row 2, and 2 columns"),
        (b'a\n"1\n', "is not a CSV that can be read (unexpected end of data)"),
        (b"\xff\xfe", "is not text in UTF-8"),
    ],
)
@pytest.mark.parametrize("command", ["classifier", "http"])
def test_what_is_no_csv_is_refused_in_words(capsys, tmp_path, command, content, rule):
    path, body = tmp_path / "rows.csv", tmp_path / "body"
    path.write_bytes(content)
    body.write_text("{}")
    words = {"classifier": [], "http": ["--url", "http://x", "--body", str(body)]}[command]
    assert mistakes(capsys, command, "--rows", str(path), *words) == [f"--rows {path}: {rule}."]


def test_output_that_is_a_folder_is_refused_before_any_load(capsys, tmp_path):
    (mistake,) = mistakes(capsys, "lm", "--output", str(tmp_path))
    assert mistake == f"--output {tmp_path}: is a folder; name a file."


def test_one_file_for_both_results_is_refused(capsys, tmp_path):
    path = str(tmp_path / "x")
    (mistake,) = mistakes(capsys, "lm", "--output", path, "--report", path)
    assert mistake == f"--output and --report: both are {path}; name two files."


def test_missing_dataset_is_reported_with_the_command_that_downloads_it(capsys, mnist_cache):
    mnist_cache.unlink()
    (mistake,) = mistakes(capsys, "classifier")
    assert mistake == f"There is no MNIST cache at {mnist_cache}. Run `python -m training data`."


def test_truncated_dataset_is_refused_with_the_remedy(capsys, mnist_cache):
    mnist_cache.write_bytes(mnist_cache.read_bytes()[:200])
    (mistake,) = mistakes(capsys, "query")
    assert mistake.startswith(f"{mnist_cache} cannot be read")
    assert mistake.endswith("Remove it, then: Run `python -m training data`.")


@pytest.mark.slow
def test_lm_load_needs_no_dataset(mnist_cache, refused_url):
    mnist_cache.unlink()
    assert main(["lm", "--url", refused_url, "--duration-seconds", "0.05"]) == 1
