"""The tensors of the Open Inference Protocol v2, as JSON or as bytes behind it."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictInt

from apps.serving.problems import Problem

NUMBERS = {
    "FP32": "<f4",
    "FP64": "<f8",
    "UINT8": "u1",
    "INT32": "<i4",
    "INT64": "<i8",
}


class Tensor(BaseModel):
    """An input: its numbers stand in `data`, flat or in rows, or are bytes behind the JSON."""

    name: str
    shape: Annotated[list[Annotated[StrictInt, Field(ge=0, le=2**31)]], Field(min_length=2, max_length=2)]
    datatype: Literal["FP32", "FP64", "UINT8", "INT32", "INT64"]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None

    def rows(self, content: memoryview, pointer: str) -> tuple[np.ndarray, memoryview]:
        """Return float64 of `shape`, and what is left of `content`, the bytes behind the JSON."""
        size = self.parameters.get("binary_data_size")
        if (size is None) == (self.data is None):
            raise wrong(pointer, "must have either data or the parameter binary_data_size")
        if size is None:
            return self._from_json(pointer), content
        kind = np.dtype(NUMBERS[self.datatype])
        if type(size) is not int or size != self.count * kind.itemsize or size > len(content):
            rule = f"{self.count} of {self.datatype} take {self.count * kind.itemsize} bytes"
            raise wrong(pointer, f"binary_data_size is {size}, {rule}, and {len(content)} follow the JSON")
        return np.frombuffer(content[:size], kind).reshape(self.shape).astype(np.float64), content[size:]

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return self.shape[0] * self.shape[1]

    def _from_json(self, pointer: str) -> np.ndarray:
        flat = [value for part in self.data for value in (part if type(part) is list else (part,))]
        if len(flat) != self.count:
            raise wrong(f"{pointer}/data", f"must hold {self.count} numbers, as the shape says; {len(flat)} were given")
        if not set(map(type, flat)) <= {int, float}:
            raise wrong(f"{pointer}/data", "must hold numbers only")
        try:
            return np.array(flat, np.float64).reshape(self.shape)
        except OverflowError:
            raise wrong(f"{pointer}/data", "must hold numbers that a float64 can hold") from None


def encode_bytes(texts: list[str]) -> bytes:
    """Return a BYTES tensor: each element's length as uint32, little-endian, and its UTF-8."""
    parts = [text.encode() for text in texts]
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


def wrong(pointer: str, rule: str) -> Problem:
    """A 422 with one mistake."""
    return Problem(422, f"{pointer}: {rule}.", errors=[{"pointer": pointer, "detail": f"{rule}."}])
