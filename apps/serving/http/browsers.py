"""What keeps one site's page from another's answers: CORS, and the names that the service may be asked by.

Both are off unless set, and cost nothing then.
"""

from collections.abc import Callable, Collection
from functools import partial

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from apps.serving.http.access import QUIET
from apps.serving.problems import Problem, problem_response


def cors(origins: Collection[str]) -> Callable[[ASGIApp], ASGIApp] | None:
    """What lets pages of `origins` call an application and read its answers; None without any."""
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
    """Refuses other names in Host: by DNS rebinding, a page of any site could read answers under its own.

    Probes and scrapes ask by the pod's address, and are always answered.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app, self.names = app, frozenset(map(_name, names))
        self.suffixes = tuple(name[1:] for name in self.names if name.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 where the Host is not allowed."""
        if scope["type"] != "http" or scope["path"] in QUIET:
            return await self.app(scope, receive, send)
        name = _name(host := Headers(scope=scope).get("host", ""))
        if name in self.names or name.endswith(self.suffixes):
            return await self.app(scope, receive, send)
        detail = f"Host {host[:200]!r} is not among ALLOWED_HOSTS. Use a name that is, or add this one."
        await problem_response(Request(scope), Problem(421, detail))(scope, receive, send)


def _name(host: str) -> str:
    """A Host without its port, in lower case."""
    name, _, port = host.lower().rpartition(":")
    return (name if name and port.isdecimal() else host.lower()).removesuffix(".")
