"""A load run through the command line: open loop, thresholds, exit status, reports, secrets."""

import json
import re

import pytest

from loadgen.client.tests.test_tls import certificate, serving
from loadgen.commands.cli import main
from loadgen.tests.stub import PREDICTION, answer, answering

pytestmark = pytest.mark.slow  # each run starts processes


@pytest.fixture
def load(stub, tmp_path, capsys):
    """Run the classifier's load on the stub; return exit status, document and what was printed."""

    def command(*words, url=None):
        output = tmp_path / "run.json"
        common = ["--url", url or stub.url, "--dataset-size", "20", "--output", str(output)]
        status = main(["classifier", *common, *words])
        return status, json.loads(output.read_text()), capsys.readouterr().out

    return command


OPEN = ("--rate", "40", "--duration-seconds", "0.5", "--workers", "1")


def test_an_open_loop_sends_what_is_due(load, stub):
    status, document, printed = load(*OPEN)
    assert status in (0, 98), "this machine may be busy"
    assert document["summary"]["requests"] == stub.requests == 20
    intended = [request["intended"] for request in document["requests"]]
    assert sorted(intended) == pytest.approx([number / 40 for number in range(20)])
    assert "open loop: 40/s, constant, 0.5 s" in printed and document["settings"]["concurrency"] is None


def test_a_poisson_run_is_repeated_by_its_seed(load):
    words = ("--phase", "only:0.5:60", "--arrivals", "poisson", "--workers", "1", "--seed")
    runs = [sorted(r["intended"] for r in load(*words, seed)[1]["requests"]) for seed in ("7", "7", "8")]
    assert runs[0] == runs[1] != runs[2]


def test_a_trace_is_sent_as_recorded(load, tmp_path):
    (tmp_path / "trace").write_text("5.0\n5.1\n5.25\n")
    _, document, _ = load("--trace", str(tmp_path / "trace"))
    assert sorted(r["intended"] for r in document["requests"]) == pytest.approx([0, 0.1, 0.25])


def test_phases_are_reported_apart_and_a_warm_up_is_not_in_the_summary(load):
    _, document, printed = load("--phase", "warm:0.2:50:warmup", "--phase", "main:0.2:25", "--workers", "1")
    assert [(p["name"], p["summary"]["requests"]) for p in document["phases"]] == [("warm", 10), ("main", 5)]
    assert document["summary"]["requests"] == 5
    assert re.search(r"phases +warm +10 requests", printed)


def test_a_missed_threshold_ends_with_99_and_is_named(load):
    status, document, printed = load(*OPEN, "--threshold", "p99<1us", "--threshold", "errors==0")
    assert status in (99, 98)
    assert [entry["passed"] for entry in document["thresholds"]] == [False, True]
    assert "MISSED  p99<1us" in printed and document["verdict"]


def test_failed_requests_end_with_1_unless_a_threshold_allows_them(load, stub):
    stub.handler = answering({"title": "Too busy"}, 503)
    assert load(*OPEN)[0] in (1, 98)
    assert load(*OPEN, "--threshold", "rate<=100%")[0] in (0, 98)


def test_abort_ends_the_run_early(load, stub):
    stub.handler = answering({"title": "Too busy"}, 503)
    words = ("--rate", "20", "--duration-seconds", "60", "--threshold", "errors==0 abort=1s", "--workers", "1")
    status, document, _ = load(*words)
    assert status in (99, 98)
    assert document["run"]["ended_by"] == "errors==0 abort=1s missed" and document["run"]["elapsed_seconds"] < 30


def test_the_output_has_the_summary_first_and_can_be_standard_output(stub, capfd):
    main(["classifier", "--url", stub.url, "--dataset-size", "20", *OPEN, "--output", "-"])
    out, err = capfd.readouterr()
    document = json.loads(out)
    assert list(document)[:2] == ["schema_version", "summary"] and list(document)[-1] == "requests"
    assert "requests     20 in" in err, "the summary for a person goes to the other stream"


def test_secrets_are_neither_shown_nor_written(load, stub, tmp_path):
    url = stub.url.replace("http://", "http://user:geheim@")
    words = (*OPEN, "--header", "Authorization: Bearer geheim", "--report", str(tmp_path / "r.html"))
    _, document, printed = load(*words, url=url)
    assert document["summary"]["failed"] == 0
    assert document["settings"]["headers"] == ["Authorization"]
    for text in (printed, json.dumps(document), (tmp_path / "r.html").read_text()):
        assert "geheim" not in text


def test_a_report_is_written_with_the_run_and_from_its_document(load, tmp_path, capsys):
    load(*OPEN, "--report", str(tmp_path / "now.html"))
    assert main(["report", str(tmp_path / "run.json"), "--report", str(tmp_path / "later.html")]) == 0
    assert (tmp_path / "now.html").read_text() == (tmp_path / "later.html").read_text()
    assert main(["report", *2 * [str(tmp_path / "run.json")], "--report", str(tmp_path / "both.html")]) == 0
    assert "Two runs side by side" in (tmp_path / "both.html").read_text()


def test_what_is_no_document_is_refused(tmp_path, capsys):
    (tmp_path / "a.json").write_text("{}")
    assert main(["report", str(tmp_path / "a.json"), str(tmp_path / "none.json")]) == 2
    error = capsys.readouterr().err
    assert "a.json: is not the document of a run" in error and "none.json: No such file or directory." in error


def test_a_refused_certificate_is_told_with_the_flags_for_it(load, tmp_path):
    with serving(certificate(tmp_path, "own", "-addext", "subjectAltName=IP:127.0.0.1")) as stub:
        status, document, printed = load(*OPEN, url=stub.url)
        assert status in (1, 98) and document["summary"]["errors"][0]["outcome"] == "tls"
        assert "`--ca FILE` trusts the authority" in printed and "Is the service up?" not in printed
        assert load(*OPEN, "--ca", str(tmp_path / "own.pem"), url=stub.url)[0] in (0, 98)


def test_a_scenario_file_names_the_target(stub, tmp_path, capsys):
    text = f"target: classifier\nurl: {stub.url}\ndataset_size: 20\nphases: [{{name: a, seconds: 0.2, rate: 20}}]\n"
    (tmp_path / "s.yaml").write_text(text)
    assert main(["--scenario", str(tmp_path / "s.yaml")]) in (0, 98)
    assert stub.requests == 4


def test_a_body_of_ones_own_is_filled_from_rows(stub, tmp_path):
    stub.handler = answering(PREDICTION)
    (tmp_path / "body").write_text('{"age": $age, "name": $name}')
    (tmp_path / "rows.csv").write_text("age,name\n3,Ann\n4,Bo\n")
    words = ["--url", stub.url, "--body", str(tmp_path / "body"), "--rows", str(tmp_path / "rows.csv")]
    assert main(["http", *words, "--rate", "20", "--duration-seconds", "0.2", "--workers", "1"]) in (0, 98)
    assert stub.bodies == [{"age": 3, "name": "Ann"}, {"age": 4, "name": "Bo"}] * 2


def test_rows_are_sent_by_the_names_of_their_columns(stub, tmp_path):
    stub.handler = answering({"value": 1.5, "model_version": "v1"})
    lines = ["size,rooms,new,colour,note", "1.5,3,True,red,7", "NA,4,false,,x", '2,5,TRUE,"a ""b"", c",']
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    words = ["--url", f"http://127.0.0.1:{stub.port}", "--rows", str(tmp_path / "rows.csv"), "--workers", "1"]
    words += ["--rate", "15", "--duration-seconds", "0.2", "--output", str(tmp_path / "run.json")]
    assert main(["classifier", *words]) in (0, 98)
    assert [body["features"] for body in stub.bodies] == [
        {"size": 1.5, "rooms": 3, "new": True, "colour": "red", "note": "7"},
        {"size": None, "rooms": 4, "new": False, "colour": None, "note": "x"},
        {"size": 2, "rooms": 5, "new": True, "colour": 'a "b", c', "note": None},
    ]
    summary = json.loads((tmp_path / "run.json").read_text())["summary"]
    assert (summary["succeeded"], summary["accuracy"]) == (3, None)


def test_a_cluster_that_cannot_be_observed_ends_with_96_before_any_load(stub, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    stub.handler = lambda request: request.send(answer())
    words = ["--url", stub.url, "--dataset-size", "20", "--observe", "inference/classifier-service"]
    assert main(["classifier", *words]) == 96
    reason = f"Configuration file {tmp_path}/none not found; set KUBECONFIG to the one file that kubectl uses"
    assert capsys.readouterr().err.startswith(f"--observe inference/classifier-service: {reason}") and not stub.requests


def test_a_forecast_needs_a_run_that_was_observed_and_tells_all_mistakes(load, tmp_path, capsys):
    load(*OPEN)
    (tmp_path / "values.yaml").write_text("autoscaling: {maxReplicas: 9}\n")
    words = [str(tmp_path / "run.json"), "--hpa", str(tmp_path / "values.yaml"), "--scenario", str(tmp_path / "none")]
    assert main(["simulate", *words]) == 2
    error = capsys.readouterr().err
    assert "run.json: the run was not observed" in error and "none: No such file" in error
