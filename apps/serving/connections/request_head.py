"""The head of a request (request line and headers): its size, its deadline, and what makes it ambiguous."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Iterable

from apps.serving.connections.refusals import RefusedError

MAX_HEADER_BYTES = 32_768  # of a head; also of trailers, and of the framing of chunks
HEADER_SECONDS: float = 10  # from the connection, or from a request's first byte, to the end of its head

TOO_LARGE = RefusedError(431, f"Path and headers exceed {MAX_HEADER_BYTES} bytes. Send less.")

Headers = Iterable[tuple[bytes, bytes]]


class IncompleteHead:
    """Size in bytes of a head that is not complete, and the timer that calls `on_timeout` after HEADER_SECONDS."""

    def __init__(self, loop: AbstractEventLoop, on_timeout: Callable[[], object]) -> None:
        self._loop, self._on_timeout = loop, on_timeout
        self._timer: TimerHandle | None = None
        self.size = 0

    def start_timer(self) -> None:
        """Start the timer unless it runs."""
        if self._timer is None:
            self._timer = self._loop.call_later(HEADER_SECONDS, self._on_timeout)

    def clear(self) -> None:
        """Stop the timer: the head is complete, or the connection ends."""
        self.size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def check_head(method: bytes, version: str, url: bytes, headers: Headers) -> int:
    """Return the Content-Length, 0 without one.

    Raises RefusedError for a head that is too large or that another server could read as another request.
    """
    size, hosts, content_length = len(url), 0, 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            content_length = int(value)
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise RefusedError(501, f"Transfer-Encoding {value[:80]!r} is not read here. Send chunked.")
    if size > MAX_HEADER_BYTES:
        raise TOO_LARGE
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise RefusedError(400, f"An HTTP/1.1 request has exactly one Host header; {hosts} were sent.")
    if method == b"CONNECT":
        raise RefusedError(501, "CONNECT is for proxies, and this is none. Use another method.")
    return content_length


def without_upgrade(method: bytes, version: str, url: bytes, headers: Headers) -> bytes:
    """Return the head as bytes, without its Upgrade header."""
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode())]
    lines += [name + b": " + value for name, value in headers if name != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])
