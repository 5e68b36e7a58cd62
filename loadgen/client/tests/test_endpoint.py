"""URLs: what is sent, and what may be shown."""

import pytest

from loadgen.client.endpoint import endpoint, public_url


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://host", "host", "/predict"),
        ("http://host:80/", "host", "/predict"),
        ("https://host:443/a", "host", "/a"),
        ("https://host:8443/a?b=c d", "host:8443", "/a?b=c%20d"),
        ("http://[::1]:8080/ä", "[::1]:8080", "/%C3%A4"),
        ("http://bücher.example/x#part", "xn--bcher-kva.example", "/x"),
        ("http://host/a%20b", "host", "/a%20b"),
    ],
)
def test_url_becomes_host_and_path(url, authority, path):
    to = endpoint(url, "/predict")
    assert (to.authority, to.path) == (authority, path)


@pytest.mark.parametrize("url", ["ftp://host/", "host/predict", "http:///x", "http://host:0/", "http://host:99999/"])
def test_url_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="must be"):
        endpoint(url, "/")


def test_line_breaks_never_reach_a_header():
    assert "\n" not in endpoint("http://host/a\r\nX-Evil: 1", "/").path


def test_user_info_is_never_shown():
    assert public_url("https://user:secret@host:1/a?b#c", "/predict") == "https://host:1/a?b"
    assert public_url("http://secret@host", "/predict") == "http://host/predict"
