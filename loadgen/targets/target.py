"""What a target is: prebuilt request bodies, and the reading of answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from loadgen.targets.outcome import Outcome


class InvalidAnswer(Exception):
    """A response of an accepted status whose body violates the service's contract; the text says how."""

    outcome = Outcome.INVALID

    def __init__(self, text: str, model_version: str | None = None) -> None:
        super().__init__(text)
        self.model_version = model_version


class StreamError(InvalidAnswer):
    """An error that the server reported within a stream, after its 200."""

    outcome = Outcome.STREAM


@dataclass(frozen=True, slots=True)
class Sample:
    """A request body and, for an image, its index in the dataset and its label."""

    body: bytes
    index: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a valid answer contained; None where the target does not tell.

    gaps: seconds between two chunks with content of a stream (inter-token latency).
    first_token: seconds from sending to the first chunk with content.
    """

    model_version: str | None = None
    correct: bool | None = None
    completion_tokens: int | None = None
    first_token: float | None = None
    gaps: Sequence[float] = ()
    answer: Any = None


class Stream(Protocol):
    """Reads one streamed answer while it arrives."""

    def feed(self, data: bytes, seconds: float) -> None:
        """Take a part of the body, `seconds` after the request was sent."""

    def finish(self) -> Reading:
        """Return the reading at the end of the body. Raises InvalidAnswer."""


@dataclass(frozen=True)
class Target:
    """A service: samples to send in turn, and how to read its answers. Picklable: workers receive a copy."""

    name: str
    path: str  # added to a URL without a path
    samples: Sequence[Sample]
    method: str = "POST"
    content_type: str = "application/json"
    accept: str = "application/json"

    def accepts(self, status: int) -> bool:
        """Whether an answer of this status can be a success."""
        return status == 200

    def read(self, body: bytes, sample: Sample) -> Reading:
        """Return the reading of the body of an accepted answer. Raises InvalidAnswer."""
        return Reading()

    def stream(self, sample: Sample) -> Stream | None:
        """Return a reader of a streamed answer, or None if `read` takes the whole body."""
        return None
