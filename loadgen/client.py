"""Sends one request at a time over a connection of limited age, and classifies each outcome.

kube-proxy balances connections, not requests: a connection that stays open never reaches a new pod. So a
connection older than its limit is closed, and the next request opens another. Requests are never retried.
"""

import json
import math
import os
from typing import Any

import aiohttp

from loadgen.observe import Clock, Observation
from loadgen.targets import InvalidAnswer, Sample, Target, require

HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "loadgen"}
TITLE_LENGTH = 100


class Client:
    """One user of a service.

    connection_seconds: no request starts on a connection older than this; infinity keeps connections open.
    first_seconds: the same for the first connection, so that users do not all reconnect at the same time.
    """

    def __init__(
        self,
        target: Target,
        url: str,
        clock: Clock,
        timeout_seconds: float,
        connection_seconds: float = math.inf,
        first_seconds: float = math.inf,
    ) -> None:
        self._target, self._url, self._clock = target, url, clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, ceil_threshold=math.inf)
        self._connection_seconds = connection_seconds
        self._first_seconds = first_seconds
        self._session: aiohttp.ClientSession | None = None
        self._renew_at = 0.0

    async def send(self, sample: Sample) -> tuple[Observation, Any]:
        """Return the observation and the answer's JSON, or None. Latency includes the time to connect."""
        session = await self._fresh_session()
        observation = Observation(start=self._clock.now(), sample_index=sample.index)
        answer = None
        try:
            async with session.post(self._url, data=sample.body, allow_redirects=False) as response:
                note_headers(response, observation)
                body = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            observation.end = self._clock.now()
            observation.outcome, observation.detail = failure(error)
        else:
            observation.end = self._clock.now()
            answer = self._evaluate(response, body, sample, observation)
        return observation, answer

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _fresh_session(self) -> aiohttp.ClientSession:
        now = self._clock.now()
        if self._session is None or now >= self._renew_at:
            await self.close()
            lifetime = self._first_seconds if self._session is None else self._connection_seconds
            self._renew_at = now + lifetime
            # One session per user, because aiohttp's pool has no age limit.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1),
                timeout=self._timeout,
                headers=HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _evaluate(self, response: aiohttp.ClientResponse, body: bytes, sample: Sample, observation: Observation) -> Any:
        """Return the answer's JSON, and note outcome and model version."""
        answer = parse(body)
        if isinstance(answer, dict) and isinstance(answer.get("model_version"), str):
            observation.model_version = answer["model_version"]
        if response.status != 200:
            observation.outcome, observation.detail = "http", title(answer) or response.reason
            return answer
        try:
            if answer is None:
                raise InvalidAnswer("the body is not JSON")
            require(answer, "model_version", str)
            self._target.read(answer, sample, observation)
        except InvalidAnswer as invalid:
            observation.outcome, observation.detail = "invalid", str(invalid)
        return answer


def note_headers(response: aiohttp.ClientResponse, observation: Observation) -> None:
    observation.status = response.status
    observation.served_by = response.headers.get("X-Served-By")
    if observation.status != 200:
        observation.request_id = response.headers.get("X-Request-ID")


def parse(body: bytes) -> Any:
    """Return the body's JSON, or None if it is not JSON or is nested too deeply."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def title(answer: Any) -> str | None:
    """Return the title of a problem document (RFC 9457), at most TITLE_LENGTH characters, or None."""
    text = answer.get("title") if isinstance(answer, dict) else None
    return text[:TITLE_LENGTH] if isinstance(text, str) else None


def failure(error: Exception) -> tuple[str, str]:
    """Return outcome and detail. The order of the checks matters: aiohttp's errors inherit from one another."""
    if isinstance(error, TimeoutError):
        return "timeout", "no complete answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connect", reason(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "reset", "closed before an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "reset", "closed within the answer"
    if isinstance(error, OSError):
        return "reset", reason(error)
    return "invalid", f"not valid HTTP ({type(error).__name__})"


def reason(error: OSError) -> str:
    """Return the system's message; those of aiohttp and asyncio contain addresses, so that none would occur twice."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
