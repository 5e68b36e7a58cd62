"""The tensors of the Open Inference Protocol v2: as JSON, or as bytes that follow the JSON."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictInt

from apps.serving.problems import Problem

DTYPES = {
    **{"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"},
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}
LENGTH_BYTES = 4  # before each text of a BYTES tensor
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]


class Tensor(BaseModel):
    """An input: its values stand in `data`, flat or in rows, or are bytes behind the JSON."""

    name: str
    shape: Annotated[list[Annotated[StrictInt, Field(ge=0, le=2**31)]], Field(min_length=1, max_length=2)]
    datatype: Datatype
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None

    def values(self, content: memoryview, pointer: str) -> tuple[list[Any] | np.ndarray, memoryview]:
        """Return the values, flat, and the rest of `content`, the bytes that follow the JSON.

        Raises Problem 422, whose mistake names the place `pointer`, where size or count of the values is wrong.
        """
        size = (self.parameters or {}).get("binary_data_size")
        if (size is None) == (self.data is None):
            raise mistake(pointer, "must have either data or the parameter binary_data_size")
        if self.data is not None:
            flat = [value for part in self.data for value in (part if type(part) is list else (part,))]
            if len(flat) != self.count:
                rule = f"must hold {self.count} values, as the shape says; {len(flat)} were given"
                raise mistake(f"{pointer}/data", rule)
            return flat, content
        if self.datatype == "BYTES":
            if type(size) is not int or not 0 <= size <= len(content):
                raise mistake(pointer, f"binary_data_size is {size}, and {len(content)} bytes follow the JSON")
            return self._texts(content[:size], pointer), content[size:]
        dtype = np.dtype(DTYPES[self.datatype])
        if type(size) is not int or size != self.count * dtype.itemsize or size > len(content):
            rule = f"{self.count} of {self.datatype} take {self.count * dtype.itemsize} bytes"
            raise mistake(pointer, f"binary_data_size is {size}, {rule}, and {len(content)} follow the JSON")
        return np.frombuffer(content[:size], dtype), content[size:]

    def rows(self, content: memoryview, pointer: str) -> tuple[np.ndarray, memoryview]:
        """Return numbers as float64 of `shape`, and the rest of `content`. Raises as `values` does."""
        values, content = self.values(content, pointer)
        if isinstance(values, list):
            if not {*map(type, values)} <= {int, float}:
                raise mistake(f"{pointer}/data", "must hold numbers only")
            try:
                values = np.array(values, np.float64)
            except OverflowError:
                raise mistake(f"{pointer}/data", "must hold numbers that a float64 can hold") from None
        return values.reshape(self.shape).astype(np.float64), content

    @property
    def count(self) -> int:
        """The number of values."""
        return self.shape[0] * (self.shape[1] if len(self.shape) > 1 else 1)

    def _texts(self, content: memoryview, pointer: str) -> list[str]:
        texts: list[str] = []
        start = 0
        try:
            while start < len(content) and len(texts) < self.count:
                end = start + LENGTH_BYTES + int.from_bytes(content[start : start + LENGTH_BYTES], "little")
                texts.append(str(content[start + LENGTH_BYTES : end], "utf-8"))
                start = end
        except UnicodeDecodeError:
            raise mistake(pointer, "must hold texts in UTF-8") from None
        if len(texts) != self.count or start != len(content):
            raise mistake(pointer, f"must hold {self.count} texts, each after its length as four bytes")
        return texts


def encode_bytes(texts: list[str]) -> bytes:
    """Return a BYTES tensor: of each text its length in bytes as little-endian uint32, then its UTF-8."""
    parts = [text.encode() for text in texts]
    return b"".join(len(part).to_bytes(LENGTH_BYTES, "little") + part for part in parts)


def mistake(pointer: str, rule: str) -> Problem:
    """Return a Problem 422 with one mistake, at the JSON pointer `pointer`."""
    return Problem(422, f"{pointer}: {rule}.", errors=[{"pointer": pointer, "detail": f"{rule}."}])
