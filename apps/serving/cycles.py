"""What the protocol adds to uvicorn's request-and-response cycles and to the flow control that they share."""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from apps.serving.context import HOLD


class PipelineFlow(FlowControl):
    """Keeps a connection from being read while much of it waits to be parsed, whatever uvicorn says."""

    held = False

    def __init__(self, transport: Any, resumed: Callable[[], object]) -> None:
        super().__init__(transport)
        self._resumed = resumed

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()
        self._resumed()


def release(cycle: RequestResponseCycle) -> None:
    """Count the bytes of a request's body no more."""
    if hold := cycle.scope.get(HOLD):
        hold.release()


def forget_body(cycle: RequestResponseCycle) -> None:
    """Let go of what the application has not read, and wake it up."""
    cycle.body = bytearray()
    cycle.message_event.set()


async def send_unframed(cycle: RequestResponseCycle, message: Any) -> None:
    """Send an answer of unknown length to HTTP/1.0, which has no chunks: the connection's end is the answer's."""
    cycle.chunked_encoding = False
    cycle.expected_content_length = len(message.get("body", b""))
    await RequestResponseCycle.send(cycle, message)
