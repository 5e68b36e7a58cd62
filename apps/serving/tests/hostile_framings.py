"""Attacks on framing, connections and timeouts, which do not depend on what the service computes."""

from collections.abc import Callable

from apps.serving.tests.attacks import Attack, abandoned, chunked, endless, get, head, post, silent, unfinished, unread


def framings(path: str, body: bytes, slow: Callable[[], bytes]) -> list[Attack]:
    """Return the attacks that every service must withstand.

    `body` is an ordinary body for `path`; `slow` makes a request that computes for long, so that later ones wait.
    """
    ordinary, unended = post(path, body), chunked(path)
    started, whole = head(path).removesuffix(b"\r\n"), unended + b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    blank, behind = b"1\r\n \r\n", ordinary * (300_000 // len(ordinary))
    upload = post(path, b" " * 1_048_576)
    paths = b"".join(get(f"/{number}", X_Request_ID=number) for number in range(10_000))
    return [
        Attack("trailers without end", whole, endless(b"X-Trailer: 1\r\n")),
        Attack("one endless trailer", whole + b"X-Trailer: ", endless(b"1")),
        Attack("endless chunk extension", unended + b"1;", endless(b"a")),
        Attack("endless chunk size", unended, endless(b"0")),
        Attack("a body in chunks of one byte", unended + blank * 500_000, endless(blank)),
        Attack("headers without end", started, endless(b"X-Header: 1\r\n")),
        Attack("2,000 unfinished headers of 30 KB", started + b"X: %s\r\n" % (b"1" * 30_000), silent, 2000),
        Attack("4,000 idle connections", b"", silent, 4000),
        Attack("pipelined, never read", ordinary * 100, unread, 60),
        Attack("pipelined behind a slow one", lambda: slow() + behind, silent, 400, fills=True),
        Attack("pipelined with Upgrade", get("/livez", Connection="Upgrade", Upgrade="h2c") * 1000, unread),
        Attack("10,000 paths", paths, unread),
        Attack("a description that 1,000 never read", get("/openapi.json"), unread, 1000),
        Attack("400 uploads of 1 MB, no end", upload, unfinished, 400, fills=True),
        Attack("1,500 uploads of 1 MB, no end", upload, unfinished, 1500, fills=True),
        Attack("340 a second, closed at once", ordinary, abandoned, 34),
    ]
