"""An endpoint from its URL, and requests as the bytes that go over the wire."""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from loadgen.targets.target import Target

PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"
USER_AGENT = "loadgen"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. `authorization` is that of the URL's user info, which no other field contains."""

    secure: bool
    host: str
    port: int
    path: str
    authorization: str | None

    @property
    def authority(self) -> str:
        """The Host header: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def endpoint(url: str, default_path: str) -> Endpoint:
    """Return the endpoint of an http or https URL; `default_path` is added to a URL without a path.

    Raises ValueError, which says what a URL must be.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port must be a number from 1 to 65535") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be http://HOST:PORT/PATH or https://HOST:PORT/PATH")
    path = quote(default_path if parts.path in ("", "/") else parts.path, PATH_CHARACTERS)
    query = f"?{quote(parts.query, PATH_CHARACTERS + '?')}" if parts.query else ""
    secure = parts.scheme == "https"
    return Endpoint(secure, _ascii(parts.hostname), port or (443 if secure else 80), path + query, _authorization(url))


def public_url(url: str, default_path: str = "") -> str:
    """Return the URL without user info, which nothing may show or write, and with the path that is used."""
    parts = urlsplit(url)
    path = default_path if default_path and parts.path in ("", "/") else parts.path
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, fragment=""))


def requests(target: Target, to: Endpoint, headers: Iterable[tuple[str, str]] = (), close: bool = False) -> list[bytes]:
    """Return the bytes of the target's samples, in order. `headers` replace those of the same name.

    close: ask the server to close the connection after its answer. Raises ValueError for a header that cannot be sent.
    """
    lines = {"Host": to.authority, "User-Agent": USER_AGENT, "Accept": target.accept}
    if target.method not in ("GET", "HEAD"):
        lines["Content-Type"] = target.content_type
    if to.authorization:
        lines["Authorization"] = to.authorization
    if close:
        lines["Connection"] = "close"
    for name, value in headers:
        _check_header(name, value)
        lines = {known: text for known, text in lines.items() if known.lower() != name.lower()} | {name: value}
    head = f"{target.method} {to.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return _with_bodies(head.encode("latin-1"), target)


def _check_header(name: str, value: str) -> None:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ValueError(f"header {name!r}: a name has letters, digits and hyphens, and no spaces")
    if not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
        raise ValueError(f"header {name}: a value has characters of ISO-8859-1, and no line breaks")
    if name.lower() in ("content-length", "transfer-encoding"):
        raise ValueError(f"header {name}: loadgen itself sends the length of the body")


def _with_bodies(head: bytes, target: Target) -> list[bytes]:
    bodies: Sequence[bytes] = [sample.body for sample in target.samples]
    if target.method in ("GET", "HEAD"):
        return [head + b"\r\n" for _ in bodies]
    return [b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body) for body in bodies]


def _ascii(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise ValueError(f"{host} is not a valid host name") from None


def _authorization(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
