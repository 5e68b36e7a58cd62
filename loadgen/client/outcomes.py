"""Why a request failed, in words that are the same for every request with the same cause."""

import errno
import json
import os
import socket
import ssl
from http import HTTPStatus
from typing import Any

from loadgen.targets.outcome import Outcome

TEXT_LENGTH = 200  # of what a server sends, before it is stored
# Limits of this machine: they say nothing about the service.
LOCAL = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}
TLS_WORDS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the server refuses this version of TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server asks for a client certificate",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection without ending TLS",
}


def broken(error: Exception, otherwise: Outcome) -> tuple[Outcome, str]:
    """Return outcome and detail of a connection's error: of TLS, of this machine's limits, or `otherwise`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Outcome.TLS, f"certificate refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "TLS failed"
        return Outcome.TLS, TLS_WORDS.get(reason, reason.replace("_", " ").lower())
    if isinstance(error, socket.gaierror):
        return otherwise, f"host name not resolved: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        # Not the error's own text: asyncio's contains addresses, so that none would occur twice.
        return Outcome.LOCAL if error.errno in LOCAL else otherwise, os.strerror(error.errno)
    return otherwise, str(error)[:TEXT_LENGTH] or type(error).__name__


def refusal(status: int, body: bytes) -> tuple[str, str | None]:
    """Return detail and model version of an answer with an error's status.

    The detail is the title of a problem document (RFC 9457), the message of an OpenAI error, or the reason phrase.
    """
    answer = parsed(body)
    if not isinstance(answer, dict):
        return reason_phrase(status), None
    error, version = answer.get("error"), answer.get("model_version")
    message = error.get("message") if isinstance(error, dict) else error
    texts = [text for text in (answer.get("title"), message) if isinstance(text, str) and text]
    return shortened((texts or [reason_phrase(status)])[0]), version if isinstance(version, str) else None


def reason_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unregistered status"


def parsed(body: bytes) -> Any:
    """Return the body's JSON, or None if it is not JSON or is nested too deeply."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def shortened(text: str) -> str:
    """Bound a server's text, and replace half surrogate pairs, which no file can hold."""
    return text[:TEXT_LENGTH].encode("utf-8", "replace").decode()
