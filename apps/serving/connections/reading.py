"""Bounds what one connection reads between two polls, because a health probe waits for the reads of all others."""

from asyncio import BaseTransport, BufferedProtocol, Protocol

READ_BYTES = 65_536  # by themselves, uvloop and asyncio read 256 KB, each time into new memory


class BoundedReads(BufferedProtocol):
    """Passes everything to `protocol`; reads into `buffer`, which all connections of an event loop may share."""

    def __init__(self, protocol: Protocol, buffer: memoryview) -> None:
        self._protocol, self._buffer = protocol, buffer

    def connection_made(self, transport: BaseTransport) -> None:
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the transport puts the bytes that it reads next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on the first `nbytes` bytes of the buffer."""
        self._protocol.data_received(bytes(self._buffer[:nbytes]))
