"""Appends records to a worker's files while the run lasts; nothing but a buffer stays in memory."""

import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loadgen.client.exchange import Exchange
from loadgen.client.outcomes import shortened
from loadgen.engine.records import GAP, RECORD

FLUSH_BYTES = 64 * 1024
PACK = struct.Struct("<4d4f2iI4H2BbB")
MAX_TEXTS = 1_000  # of each sort, so that a server with unique texts cannot fill the memory
MAX_REQUEST_IDS = 10_000
assert PACK.size == RECORD.itemsize


class Writer:
    """The files of a worker in `folder`. `problem` says why nothing more is written, such as a full disk."""

    def __init__(self, folder: Path, worker: int) -> None:
        self.written = 0  # records on disk
        self.problem: str | None = None
        self._records = bytearray()
        self._gaps, self._texts, self._ids = bytearray(), bytearray(), bytearray()
        self._files = {
            name: os.open(folder / f"{name}-{worker}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for name in ("records", "gaps", "texts", "ids")
        }
        self._count = 0  # texts
        self._details, self._pods, self._versions = (_Numbers(self) for _ in range(3))
        self._request_ids = 0

    def add(self, exchange: Exchange) -> None:
        """Append the record of a request that has ended."""
        reading, outcome, sample = exchange.reading, exchange.outcome, exchange.sample
        waited = exchange.sent - exchange.waiting_since
        self._records += PACK.pack(
            exchange.intended,
            exchange.sent,
            exchange.first_byte,
            exchange.end,
            waited if waited > 0 else 0.0,
            exchange.connecting,
            _nan(reading.first_token),
            exchange.retry_seconds,
            _minus(sample.index),
            _minus(reading.completion_tokens),
            self._request_id(exchange) if outcome else 0,
            exchange.status,
            self._details.of(exchange.detail),
            self._pods.of(exchange.pod),
            self._versions.of(exchange.version),
            outcome,
            exchange.stale,
            _minus(reading.correct),
            0,
        )
        if reading.gaps:
            self._add_gaps(exchange.intended, reading.gaps)
        if len(self._records) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered. Texts go first: a record on disk has its texts on disk."""
        for name, buffer in (("texts", self._texts), ("ids", self._ids), ("gaps", self._gaps)):
            self._write(name, buffer)
        self._write("records", self._records)
        self.written = os.fstat(self._files["records"]).st_size // RECORD.itemsize

    def close(self) -> None:
        self.flush()
        for file in self._files.values():
            os.close(file)

    def new_text(self, text: str) -> int:
        self._texts += json.dumps(text).encode() + b"\n"
        self._count += 1
        return self._count

    def _write(self, name: str, buffer: bytearray) -> None:
        try:
            while buffer and self.problem is None:
                count = os.write(self._files[name], buffer)
                del buffer[:count]
        except OSError as error:
            self.problem = os.strerror(error.errno or 0)
        buffer.clear()

    def _add_gaps(self, intended: float, gaps: Sequence[float]) -> None:
        rows = np.empty(len(gaps), GAP)
        rows["intended"], rows["seconds"] = intended, gaps
        self._gaps += rows.tobytes()

    def _request_id(self, exchange: Exchange) -> int:
        if exchange.request_id is None or self._request_ids == MAX_REQUEST_IDS:
            return 0
        self._request_ids += 1
        self._ids += json.dumps(exchange.request_id.decode("utf-8", "replace")).encode() + b"\n"
        return self._request_ids


class _Numbers:
    """Numbers of equal texts; beyond MAX_TEXTS all new ones share a number."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._numbers: dict[str | bytes | None, int] = {None: 0}

    def of(self, text: str | bytes | None) -> int:
        number = self._numbers.get(text)
        return self._new(text) if number is None else number

    def _new(self, text: str | bytes | None) -> int:
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        words = shortened(words) if len(self._numbers) < MAX_TEXTS else "(one of many)"
        number = self._numbers.get(words) or self._writer.new_text(words)
        self._numbers[words] = number
        if isinstance(text, bytes) and len(self._numbers) < 2 * MAX_TEXTS:
            self._numbers[text] = number
        return number


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _minus(value: int | None) -> int:
    return -1 if value is None else value
