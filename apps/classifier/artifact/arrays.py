"""Arrays and numpy scalars in a .joblib file: of numbers, text or records, read from the bytes that the file holds."""

import math
import re
from typing import Any

import numpy as np

from apps.classifier.artifact.content import UnreadableError
from apps.classifier.artifact.inert import DTYPE, ENCODE, FROM_BUFFER, RECONSTRUCT, SCALAR, Inert

OBJECTS = "O8"  # the dtype code of Python objects
OBJECT_FLAGS = 0b111  # flags of a dtype whose items are Python objects
MAX_FIELDS = 32  # of a record
MAX_DIMENSIONS = 3


def array(value: Any) -> Any:
    """Return the array that an Inert stands for (of Python objects: a list), and every other value as it is."""
    if not isinstance(value, Inert) or value.name not in (FROM_BUFFER, RECONSTRUCT):
        return value
    if value.name == FROM_BUFFER:
        content, dtype, shape, order = value.args
    else:
        _, shape, dtype, is_fortran, content = value.state
        order = "F" if is_fortran else "C"
    numbers = number_type(dtype)
    if numbers is None:
        if type(content) is not list:
            raise UnreadableError("it holds an array of objects that is not a list")
        return content
    return numpy_array(raw(content), 0, shape, numbers, order)


def numpy_array(content: Any, start: int, shape: Any, dtype: np.dtype, order: Any) -> np.ndarray:
    """Return the array of `shape` in the bytes of `content` from `start` on, without copying them."""
    return np.ndarray(
        shape, dtype, content[start : start + array_bytes(shape, dtype)], order="F" if order == "F" else "C"
    )


def array_bytes(shape: Any, dtype: np.dtype) -> int:
    """Return the bytes of an array; raise UnreadableError for a shape that no forest's array has."""
    if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise UnreadableError("it holds an array of no possible shape")
    return math.prod(shape) * dtype.itemsize


def raw(content: Any) -> Any:
    """Return the bytes that a pickle of protocol 2 holds as a text, and every other value as it is."""
    if isinstance(content, Inert) and content.name == ENCODE:
        text, encoding = content.args
        if type(text) is not str or encoding != "latin1":
            raise UnreadableError("it holds bytes that are not encoded as latin1")
        return text.encode("latin1")
    return content


def source(value: Any) -> Any:
    """Return the object in the file that holds an array's numbers: two arrays of one source share them."""
    if not isinstance(value, Inert):
        return value
    content = value.args[0] if value.name == FROM_BUFFER else value.state[-1]
    return content.args[0] if isinstance(content, Inert) else content


def number_type(dtype: Any) -> np.dtype | None:
    """Return the dtype that an Inert stands for (numbers, text or a record of numbers), or None for Python objects."""
    code, byte_order, names, fields, size = _parts(dtype)
    if code == OBJECTS:
        return None
    if names is not None:
        return _record(names, fields, size)
    if not re.fullmatch(r"f[248]|[iu][1248]|b1|U[1-9][0-9]{0,3}", code):
        raise UnreadableError(f"it holds an array of {code[:20]!r} and not of numbers")
    return np.dtype(code).newbyteorder(">" if byte_order == ">" else "<")


def plain(value: Any) -> Any:
    """Return the number or text that the Inert of a numpy scalar stands for, and every other value as it is."""
    if not isinstance(value, Inert) or value.name != SCALAR:
        return value
    dtype = number_type(value.args[0])
    if dtype is None:
        raise UnreadableError("it holds a numpy scalar that is a Python object")
    return np.frombuffer(raw(value.args[1]), dtype, 1)[0].item()


def integer(value: Any) -> int:
    """Return an int, or the one that the Inert of a numpy scalar stands for; raise UnreadableError for others."""
    if type(value := plain(value)) is not int:
        raise UnreadableError(f"it gives a {type(value).__name__} where a whole number belongs")
    return value


def _parts(dtype: Any) -> tuple[str, Any, Any, Any, Any]:
    """Return a dtype's code and byte order, and the names, fields and size of a record."""
    if not isinstance(dtype, Inert) or dtype.name != DTYPE or type(dtype.args[0]) is not str:
        raise UnreadableError("it holds an array without a dtype")
    code, (_, byte_order, inner, names, fields, size, _, flags) = dtype.args[0], dtype.state[:8]
    if inner is not None or (code != OBJECTS and flags & OBJECT_FLAGS):
        raise UnreadableError(f"it holds an array of {code[:20]!r} and not of numbers, but of objects or of arrays")
    return code, byte_order, names, fields, size


def _record(names: tuple[Any, ...], fields: dict[str, Any], size: int) -> np.dtype:
    if len(names) > MAX_FIELDS or not all(type(name) is str for name in names):
        raise UnreadableError(f"it holds records that do not have at most {MAX_FIELDS} fields with names")
    if any(_parts(fields[name][0])[2] is not None for name in names):
        raise UnreadableError("it holds records of records")
    formats = [dtype for name in names if (dtype := number_type(fields[name][0])) is not None]
    if len(formats) < len(names):
        raise UnreadableError("it holds records of Python objects")
    if sum(dtype.itemsize for dtype in formats) > size:
        raise UnreadableError("it holds records whose fields overlap")
    offsets = [fields[name][1] for name in names]
    return np.dtype({"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size})
