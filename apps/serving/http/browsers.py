"""Protects answers from pages of other sites: CORS, and the host names under which the service may be requested.

Both are off by default, and then no middleware is installed.
"""

from collections.abc import Callable, Collection
from functools import partial

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from apps.serving.http.access import QUIET
from apps.serving.http.problem_responses import problem_response
from apps.serving.problems import Problem


def cors(origins: Collection[str]) -> Callable[[ASGIApp], ASGIApp] | None:
    """Return the middleware that lets pages of `origins` call the service and read its answers; None without any."""
    if not origins:
        return None
    return partial(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=("*",),  # OpenAI's client sends a dozen of its own
        expose_headers=("X-Request-ID", "Retry-After"),
    )


class AllowedHosts:
    """Answers 421 to other values of Host, against DNS rebinding by a page of any site.

    Probes and scrapes are exempt: they use the pod's address.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app, self.names = app, frozenset(map(_name, names))
        self.suffixes = tuple(name[1:] for name in self.names if name.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET:
            return await self.app(scope, receive, send)
        name = _name(host := Headers(scope=scope).get("host", ""))
        if name in self.names or name.endswith(self.suffixes):
            return await self.app(scope, receive, send)
        detail = f"Host {host[:200]!r} is not among ALLOWED_HOSTS. Use a name that is, or add this one."
        await problem_response(Request(scope), Problem(421, detail))(scope, receive, send)


def _name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    name, _, port = host.lower().rpartition(":")
    return (name if name and port.isdecimal() else host.lower()).removesuffix(".")
