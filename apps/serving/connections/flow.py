"""Flow control of one connection: when its socket is read."""

import asyncio
import socket
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

CHECK_SECONDS = 0.5  # between two checks whether the client of a paused connection has closed it
ESTABLISHED = 1  # first byte of struct tcp_info (linux/tcp.h): the state of the connection


class PipelineFlow(FlowControl):
    """uvicorn's flow control, with a hold that keeps reading paused although uvicorn resumes it."""

    def __init__(self, transport: asyncio.Transport, on_resume: Callable[[], object]) -> None:
        super().__init__(transport)
        self._on_resume = on_resume
        self._held = False

    def hold(self, held: bool) -> None:
        """Keep reading paused, or resume it if it was kept paused."""
        was_held, self._held = self._held, held
        if held:
            self.pause_reading()
            if not was_held:
                self._abort_if_closed()
        elif was_held:
            self.resume_reading()

    def resume_reading(self) -> None:
        if not self._held:
            super().resume_reading()
        self._on_resume()

    def _abort_if_closed(self) -> None:
        """Check until reading resumes: a transport that does not read does not notice that the client has closed."""
        if not self._held or self._transport.is_closing():
            return
        if client_closed(self._transport):
            self._transport.abort()
        else:
            asyncio.get_running_loop().call_later(CHECK_SECONDS, self._abort_if_closed)


def client_closed(transport: asyncio.BaseTransport) -> bool:
    """Return whether the client has closed its end, without reading; False where the system cannot tell."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None or connection.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
        return False
    state: int = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != ESTABLISHED
