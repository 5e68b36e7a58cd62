"""The tensors of the Open Inference Protocol v2: as JSON, or as bytes that follow the JSON."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictInt

from apps.serving.problems import Problem

DTYPES = {"FP32": "<f4", "FP64": "<f8", "UINT8": "u1", "INT32": "<i4", "INT64": "<i8"}


class Tensor(BaseModel):
    """An input: its numbers stand in `data`, flat or in rows, or are bytes behind the JSON."""

    name: str
    shape: Annotated[list[Annotated[StrictInt, Field(ge=0, le=2**31)]], Field(min_length=2, max_length=2)]
    datatype: Literal["FP32", "FP64", "UINT8", "INT32", "INT64"]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None

    def rows(self, content: memoryview, pointer: str) -> tuple[np.ndarray, memoryview]:
        """Return float64 of `shape`, and the rest of `content`, the bytes that follow the JSON.

        Raises Problem 422, whose mistake names the place `pointer`, where size, count or type of the numbers is wrong.
        """
        size = self.parameters.get("binary_data_size")
        if (size is None) == (self.data is None):
            raise mistake(pointer, "must have either data or the parameter binary_data_size")
        if self.data is not None:
            return self._from_json(self.data, pointer), content
        dtype = np.dtype(DTYPES[self.datatype])
        if type(size) is not int or size != self.count * dtype.itemsize or size > len(content):
            rule = f"{self.count} of {self.datatype} take {self.count * dtype.itemsize} bytes"
            raise mistake(pointer, f"binary_data_size is {size}, {rule}, and {len(content)} follow the JSON")
        return np.frombuffer(content[:size], dtype).reshape(self.shape).astype(np.float64), content[size:]

    @property
    def count(self) -> int:
        """The number of values."""
        return self.shape[0] * self.shape[1]

    def _from_json(self, data: list[Any], pointer: str) -> np.ndarray:
        flat = [value for part in data for value in (part if type(part) is list else (part,))]
        if len(flat) != self.count:
            rule = f"must hold {self.count} numbers, as the shape says; {len(flat)} were given"
            raise mistake(f"{pointer}/data", rule)
        if not set(map(type, flat)) <= {int, float}:
            raise mistake(f"{pointer}/data", "must hold numbers only")
        try:
            return np.array(flat, np.float64).reshape(self.shape)
        except OverflowError:
            raise mistake(f"{pointer}/data", "must hold numbers that a float64 can hold") from None


def encode_bytes(texts: list[str]) -> bytes:
    """Return a BYTES tensor: of each text its length in bytes as little-endian uint32, then its UTF-8."""
    parts = [text.encode() for text in texts]
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


def mistake(pointer: str, rule: str) -> Problem:
    """Return a Problem 422 with one mistake, at the JSON pointer `pointer`."""
    return Problem(422, f"{pointer}: {rule}.", errors=[{"pointer": pointer, "detail": f"{rule}."}])
