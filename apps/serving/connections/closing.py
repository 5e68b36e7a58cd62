"""How a connection ends: with a refusal after the responses to earlier requests, and a lingering close.

A lingering close discards what the client still sends, because a reset could overtake the last response.
"""

from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.serving.connections.cycles import release
from apps.serving.connections.flow import PipelineFlow
from apps.serving.connections.refusals import RefusedError, response
from apps.serving.connections.turns import Turns

LINGER_SECONDS = 2  # from the last response to the end of the connection


class Closing:
    """The end of one connection. `stop_timers` is called when the last response is sent; `discards` paces the reads."""

    def __init__(
        self, protocol: HttpToolsProtocol, flow: PipelineFlow, discards: Turns, stop_timers: Callable[[], object]
    ) -> None:
        self._protocol, self._flow, self._discards, self._stop_timers = protocol, flow, discards, stop_timers
        self._transport, self._loop = protocol.transport, protocol.loop
        self.discarding = False  # nothing more is parsed
        self.refusal: RefusedError | None = None  # waits for the responses to earlier requests

    def refuse(self, refusal: RefusedError) -> None:
        """Answer what cannot be served, after the responses to earlier requests; parse nothing more."""
        if self._transport.is_closing() or self.discarding:
            return
        self.discarding = True
        cycle, pipeline = self._protocol.cycle, self._protocol.pipeline
        if cycle is not None and cycle.more_body and not cycle.response_complete:  # the mistake is in its body
            if pipeline:
                release(pipeline.popleft()[0])
            elif cycle.response_started:
                return self._transport.close()  # no second response can be sent inside the first one
            else:
                cycle.disconnected = True
                cycle.message_event.set()
                return self.send(refusal)
        if cycle is None or cycle.response_complete:
            return self.send(refusal)
        self.refusal = refusal

    def send(self, refusal: RefusedError) -> None:
        """Send the refusal, and linger."""
        self._transport.write(response(refusal))
        self.linger()

    def linger(self) -> None:
        """Send EOF after the last response; close the connection after LINGER_SECONDS."""
        self._stop_timers()
        self.discarding = True
        self._flow.hold(False)
        self._flow.resume_reading()
        self._transport.write_eof()
        self._loop.call_later(LINGER_SECONDS, self.close)

    def discard(self) -> None:
        """Called for received bytes instead of parsing them."""
        self._transport.pause_reading()
        self._discards.enqueue(self._resume_reading)

    def close(self) -> None:
        """Close a connection without requests; abort it if the client has not even read its last response."""
        self._transport.abort() if self._transport.get_write_buffer_size() else self._transport.close()

    def _resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
