"""A connection that is lost leaves nothing to the garbage collector, which would stop the event loop."""

import asyncio
import gc

import pytest
import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.server import ServerState

from apps.serving.admission import Admission
from apps.serving.byte_budget import ByteBudget
from apps.serving.connections.acceptor import Acceptor, listeners
from apps.serving.connections.protocol import BoundedProtocol
from apps.serving.connections.reading import READ_BYTES, BoundedReads
from apps.serving.connections.shared import Shared
from apps.serving.connections.turns import Turns

HEAD = b"POST /%s HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"
WITHIN = 5  # seconds


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Read the body, unless the path is /early, and answer."""
    assert scope["type"] == "http"
    more = scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_bytes, has_answer",
    [
        pytest.param(b"", False, id="nothing sent"),
        pytest.param(HEAD % b"" + b"12345", True, id="complete"),
        pytest.param(HEAD % b"" + b"123", False, id="incomplete body"),
        pytest.param(HEAD % b"early" + b"123", True, id="answered before its body"),
        pytest.param(b"nonsense\r\n\r\n", True, id="not HTTP"),
        pytest.param(HEAD % b"early" + b"12345" + HEAD % b"" + b"1", True, id="pipelined"),
    ],
)
def test_a_lost_connection_leaves_no_garbage(request_bytes, has_answer):
    async def connect(address: tuple[str, int], state: ServerState) -> None:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(request_bytes)
        if has_answer:
            assert await reader.read(9) == b"HTTP/1.1 "
        else:
            await until(lambda: bool(state.connections))
        writer.close()
        await until(lambda: not state.connections and not state.tasks)

    async def until(condition) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition():
                await asyncio.sleep(0.001)

    async def serve() -> list[object]:
        config = uvicorn.Config(application, log_config=None, access_log=False, ws="none", lifespan="off")
        config.load()
        state, buffer = ServerState(), memoryview(bytearray(READ_BYTES))
        shared = Shared(Turns(), Turns(), ByteBudget(1_000_000), Admission(1, 1), max_age_seconds=0)
        (listener,) = listeners("127.0.0.1", 0)
        acceptor = Acceptor(
            listener, lambda: BoundedReads(BoundedProtocol(config, state, {}, shared=shared), buffer), shared.turns
        )
        try:
            await connect(acceptor.address, state)  # what is made once
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            await connect(acceptor.address, state)
            gc.collect()
            return [thing for thing in gc.garbage if type(thing).__module__.startswith(("apps.", "uvicorn."))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            acceptor.close()

    assert asyncio.run(serve()) == []
