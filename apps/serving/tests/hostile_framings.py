"""Attacks below what a service computes: on framing, connections and patience."""

from collections.abc import Callable

from apps.serving.tests.attacks import Attack, abandoned, chunked, endless, post, silent, unfinished, unread


def framings(path: str, body: bytes, slow: Callable[[], bytes]) -> list[Attack]:
    """What every service must withstand, whatever it computes; `body` is an ordinary one for `path`, and `slow` a
    request that others wait for."""
    ordinary, chunk = post(path, body), b"1\r\n \r\n"
    end = chunked(path) + b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    upgrade = b"GET /livez HTTP/1.1\r\nHost: attack\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    description = b"GET /openapi.json HTTP/1.1\r\nHost: attack\r\n\r\n"
    paths = [b"GET /%d HTTP/1.1\r\nHost: attack\r\nX-Request-ID: %d\r\n\r\n" % (n, n) for n in range(10_000)]
    return [
        Attack("trailers without end", lambda: end, endless(b"X-Trailer: 1\r\n")),
        Attack("one endless trailer", lambda: end + b"X-Trailer: ", endless(b"1")),
        Attack("endless chunk extension", lambda: chunked(path) + b"1;", endless(b"a")),
        Attack("endless chunk size", lambda: chunked(path), endless(b"0")),
        Attack("headers without end", lambda: ordinary[:20], endless(b"X-Header: 1\r\n")),
        Attack(
            "headers of 30 KB, no end, 2,000 clients",
            lambda: ordinary[:20] + b"X: %s\r\n" % (b"1" * 30_000),
            silent,
            2000,
        ),
        Attack("a body in chunks of one byte", lambda: chunked(path) + chunk * 500_000, endless(chunk)),
        Attack("4,000 idle connections", lambda: b"", silent, 4000),
        Attack("pipelined, never read", lambda: ordinary * 100, unread, 60),
        Attack(
            "pipelined behind a slow one",
            lambda: slow() + ordinary * (300_000 // len(ordinary)),
            silent,
            400,
            fills=True,
        ),
        Attack("pipelined with Upgrade", lambda: upgrade * 1000, unread),
        Attack("10,000 paths", lambda: b"".join(paths), unread),
        Attack("a description, never read, 1,000 clients", lambda: description, unread, 1000),
        Attack("400 uploads of 1 MB, no end", lambda: post(path, b" " * 1_048_576), unfinished, 400, fills=True),
        Attack("340 a second, closed at once", lambda: ordinary, abandoned, 34),
    ]
