"""A damaged document is refused in one line, by every command that reads one, and a whole one never is."""

import copy
import json
from typing import Any

import pytest

from loadgen.commands.cli import main
from loadgen.report import page
from loadgen.report.compare import compare
from loadgen.report.reading import read_document
from loadgen.report.tests import documents

REMEDY = "Give the file of --output, as it was written."
WHOLE = json.dumps(documents.complete())


def changed(**changes):
    return json.dumps(documents.complete() | changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ("", "is empty."),
        (" \n", "is empty."),
        (WHOLE[:5000], "is not JSON: it ends too early."),
        (WHOLE[:-1], "is not JSON: it ends too early."),
        ("<html>", "is not JSON: line 1: Expecting value."),
        (WHOLE.replace(": 1950", ": 0x1950"), "is not JSON: line 1: Expecting ',' delimiter."),
        (b"\x89PNG\xff", "is not text in UTF-8."),
        ("[" * 100_000, "is not JSON: it is nested too deeply."),
        (WHOLE.replace(": 1950", ": NaN"), "is not JSON: NaN is no number of JSON."),
        (WHOLE.replace(": 1950", ": -Infinity"), "is not JSON: -Infinity is no number of JSON."),
        ("[1]", "is not the document of a run."),
        ("7", "is not the document of a run."),
        ('{"summary": {}}', "is not the document of a run."),
        (
            changed(schema_version=1),
            "has the schema_version 1; this loadgen reads 2. Repeat the run, or use the loadgen that wrote it.",
        ),
        (changed(warnings=None), "is damaged: warnings must be a valid list."),
        (
            changed(timeline={}),
            "is damaged: timeline.second is missing; timeline.due is missing; timeline.succeeded is missing; "
            "timeline.failed is missing; timeline.dropped is missing; and 8 more.",
        ),
        (changed(verdict=5, url=5), "is damaged: verdict must be a valid string; url must be a valid string."),
        (
            changed(summary={**documents.summary(5), "rate_per_second": "5"}),
            "is damaged: summary.rate_per_second must be a valid number.",
        ),
        (changed(settings={"rate": 10**400}), "is damaged: settings.rate exceeds 1e+15."),
        (
            changed(settings={"rate": json.loads("[" * 30 + "]" * 30)}),
            "is damaged: settings.rate" + ".0" * 19 + " is nested over 20 deep.",
        ),
        (
            changed(timeline=documents.timeline([1]) | {"due": []}),
            "is damaged: timeline due must be as long as second.",
        ),
        (
            changed(timeline=documents.timeline([1]) | {"second": [3]}),
            "is damaged: timeline second must count 0, 1, 2, ....",
        ),
    ],
)
def test_a_damaged_document_is_refused_in_one_line(tmp_path, capsys, content, mistake):
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    remedy = "" if "loadgen that wrote it" in mistake else f" {REMEDY}"
    for command in ("report", "simulate"):
        assert main([command, str(path)]) == 2
        assert capsys.readouterr().err == f"python -m loadgen {command}:\n  {path}: {mistake}{remedy}\n"


def test_what_is_no_file_is_refused_in_one_line(tmp_path, capsys):
    for path, reason in (
        (tmp_path, "Is a directory"),
        (tmp_path / "x", "No such file or directory"),
        ("/dev/zero", "is a device"),
    ):
        assert main(["report", str(path), "--report", str(tmp_path / "x.html")]) == 2
        assert capsys.readouterr().err == f"python -m loadgen report:\n  {path}: {reason}. {REMEDY}\n"


def places(value, place=()):
    """Yield the place of every part, of lists the first entry alone."""
    for key, part in list(value.items() if isinstance(value, dict) else enumerate(value))[
        : 1 if isinstance(value, list) else None
    ]:
        yield (*place, key)
        if isinstance(part, dict | list):
            yield from places(part, (*place, key))


VALUES: tuple[Any, ...] = (None, "\ud800", -1, 1e14, [], {}, True)


@pytest.mark.slow
def test_whatever_part_is_missing_or_of_another_type_no_report_fails(tmp_path):
    whole, path, refused = documents.complete(), tmp_path / "a.json", 0
    for number, place in enumerate(places(json.loads(WHOLE))):
        for value in ("missing", VALUES[number % len(VALUES)]):
            document = copy.deepcopy(whole)
            part = document
            for key in place[:-1]:
                part = part[key]
            if value == "missing":
                del part[place[-1]]
            else:
                part[place[-1]] = value
            path.write_text(json.dumps(document))
            try:
                read = read_document(path)
            except ValueError as error:
                assert REMEDY in str(error) or "Repeat the run" in str(error)
                refused += 1
            else:
                page.report(read)
                compare(read, whole, ("a", "b"))
    assert refused > 200
