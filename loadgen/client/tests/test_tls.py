"""TLS: trusted by `ca`, refused with the reason in words, or trusted without a check."""

import asyncio
import gc
import ssl
import subprocess

import pytest

from loadgen.client.ask import ask
from loadgen.targets.classifier import Classifier
from loadgen.targets.outcome import Outcome
from loadgen.targets.target import Sample
from loadgen.tests.stub import Stub

TARGET = Classifier(samples=(Sample(b"{}", 7, "4"),))


def certificate(folder, name, *options):
    """Make a self-signed certificate; return the files of certificate and key."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=test", "-out", str(files[0]), "-keyout", str(files[1]), *options]
    subprocess.run(command, check=True, capture_output=True)
    return files


def serving(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return Stub(tls=context)


@pytest.fixture
def good(tmp_path):
    return certificate(tmp_path, "good", "-addext", "subjectAltName=IP:127.0.0.1")


def outcome(url, **settings):
    (exchange,) = asyncio.run(ask(TARGET, url, **settings))
    gc.collect()  # a connection that is still open fails the test here, not a later one
    return exchange.outcome, exchange.detail


def test_certificate_is_trusted_through_ca_and_refused_without(good):
    with serving(good) as stub:
        assert outcome(stub.url, ca=good[0]) == (Outcome.OK, None)
        assert outcome(stub.url) == (Outcome.TLS, "certificate refused: self-signed certificate")
        assert outcome(stub.url, insecure=True) == (Outcome.OK, None)


def test_certificate_of_another_host_is_refused(tmp_path):
    other = certificate(tmp_path, "other", "-addext", "subjectAltName=DNS:other.example")
    with serving(other) as stub:
        result, detail = outcome(stub.url, ca=other[0])
    assert result == Outcome.TLS and detail.startswith("certificate refused: IP address mismatch")


def test_server_without_tls_is_told_in_words(stub):
    stub.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    url = stub.url.replace("http:", "https:")
    assert outcome(url, timeout_seconds=5) == (Outcome.TLS, "the server does not speak TLS on this port")


def only_error(document):
    (error,) = document["summary"]["errors"]
    return error["outcome"], error["detail"]


@pytest.mark.slow
def test_words_of_a_run_are_the_same(good, plan, carry_out, stub, refused_url):
    """A run uses uvloop, whose errors differ from asyncio's."""
    with serving(good) as secure:
        assert only_error(carry_out(plan(0.05, url=secure.url))[0]) == (
            "tls",
            "certificate refused: self-signed certificate",
        )
        document, _ = carry_out(plan(0.1, url=secure.url, ca=good[0]))
        assert document["summary"]["failed"] == 0 < document["summary"]["succeeded"]
        assert document["requests"][0]["connecting"] > 0
    stub.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    plain = stub.url.replace("http:", "https:")
    assert only_error(carry_out(plan(0.05, url=plain))[0]) == ("tls", "the server does not speak TLS on this port")
    unknown = carry_out(plan(0.05, url="http://host.invalid/"))[0]
    assert only_error(unknown)[0] == "connect" and only_error(unknown)[1].startswith("host name not resolved: ")
