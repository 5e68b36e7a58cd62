"""Functions on uvicorn's cycles; a cycle is one request with its response."""

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from apps.serving.context import context


def release(cycle: RequestResponseCycle) -> None:
    """Stop counting the bytes of the request's body."""
    if hold := context(cycle.scope).hold:
        hold.release()


def forget_body(cycle: RequestResponseCycle) -> None:
    """Drop the part of the body that the application has not read, and wake the application."""
    cycle.body = bytearray()
    cycle.message_event.set()


def without_chunks(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """Return `app` for a client of HTTP/1.0, which does not know chunks: the response ends with the connection."""

    async def unchunked(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def send_unchunked(message: ASGISendEvent) -> None:
            cycle.chunked_encoding = False
            if message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return unchunked
