"""Reads a .joblib file without running it: a pickle is a program, and nothing that this machine knows acts.

Each class that a forest's file may name becomes an `Inert` that only remembers what it was given; every other
name is refused. Arrays of numbers are read here too, so that nothing of joblib, scikit-learn or numpy ever
interprets what the file says. Compressed files are expanded up to a limit.
"""

import bz2
import io
import lzma
import math
import pickle
import re
import struct
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

MAX_BYTES = 4 * 1024**3  # of the file, and of what it expands to
MAX_DICTIONARY_BYTES = 256 * 1024**2  # of a decompressor; xz -9 needs a quarter of it
FORESTS = {
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.ExtraTreesClassifier",
    "sklearn.tree._classes.DecisionTreeClassifier",
}
SUPPORTED = ", ".join(sorted(name.rpartition(".")[2] for name in FORESTS))
TREES = {"sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree._classes.ExtraTreeClassifier"}
TREE = "sklearn.tree._tree.Tree"
ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
DTYPE = "numpy.dtype"
SCALAR = "numpy._core.multiarray.scalar"
RECONSTRUCT = "numpy._core.multiarray._reconstruct"  # within arrays of objects, such as names of classes
RANDOM = {  # what a forest keeps when it was given random_state=numpy.random.RandomState(…); it is never asked
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._mt19937.MT19937",
    "numpy.random.bit_generator.SeedSequence",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
}
KNOWN = FORESTS | TREES | RANDOM | {TREE, ARRAY, DTYPE, SCALAR, RECONSTRUCT, "numpy.ndarray"}
COMPRESSIONS = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES),
    b"]\x00": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES),
    b"\x78": zlib.decompressobj,
}
# What joblib writes for a forest, in the pickle protocols 3 to 5. None imports or looks up by itself.
OPCODES = """
    PROTO FRAME STOP MARK REDUCE NEWOBJ BUILD GLOBAL STACK_GLOBAL NONE NEWTRUE NEWFALSE BININT BININT1 BININT2
    LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE
    EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS MEMOIZE BINPUT LONG_BINPUT BINGET LONG_BINGET
""".split()  # noqa: SIM905
BROKEN = (  # what the standard library's machine raises on a stream that makes no sense
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    *(struct.error, zlib.error, lzma.LZMAError, OSError, MemoryError, RecursionError),
)


class UnreadableError(Exception):
    """Why a file is not read, in one line without its path."""


class Inert:
    """Stands for one object in the file: the name of its class, what it was called with, and its state."""

    name = ""

    def __init__(self, *args: Any) -> None:
        self.args, self.state = args, None


def read(path: str | Path, max_bytes: int = MAX_BYTES) -> Inert:
    """Return what the file holds, as an Inert whose state is made of plain values, arrays and further Inerts.

    Raises UnreadableError on anything but a joblib file of the classes in KNOWN.
    """
    try:
        found = Machine(_content(Path(path), max_bytes)).load()
    except BROKEN as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise UnreadableError(f"it is not a forest saved by joblib, or is damaged ({reason})") from None
    if not isinstance(found, Inert):
        raise UnreadableError(f"it holds a {type(found).__name__} and not a forest. Supported: {SUPPORTED}")
    return found


class Machine(pickle._Unpickler):
    """The standard library's pickle machine, written in Python so that its instructions can be replaced."""

    dispatch: ClassVar = {
        code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in OPCODES)
    }

    def __init__(self, content: bytes, start: int = 0) -> None:
        self.content, self.file = content, io.BytesIO(content)
        self.file.seek(start)
        super().__init__(self.file)

    def find_class(self, module: str, name: str) -> type[Inert]:
        full = f"{module}.{name}".replace("numpy.core.", "numpy._core.")
        if full not in KNOWN:
            rule = f"which is no part of a forest (nothing was run). Supported: {SUPPORTED}"
            raise UnreadableError(f"it names {full[:200]!r}, {rule}")
        return type(name, (Inert,), {"name": full})

    def load_newobj(self) -> None:
        """Make an object as REDUCE does: `__new__` of an Inert keeps nothing."""
        self.load_reduce()

    def load_build(self) -> None:
        """Keep an object's state as it is; an array's numbers follow in the file and take its place."""
        state, found = self.stack.pop(), self.stack[-1]
        if not isinstance(found, Inert):
            raise UnreadableError(f"it gives a state to a {type(found).__name__}")
        found.state = state
        if found.name == ARRAY:
            self.stack[-1] = self._array(**state)

    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, *, shape, order, dtype, numpy_array_alignment_bytes=None, **_) -> np.ndarray | list:
        kind = number_type(dtype)
        if kind is None:
            return self._objects()
        if not all(type(n) is int and n >= 0 for n in shape):
            raise UnreadableError("it holds an array of no possible shape")
        if numpy_array_alignment_bytes is not None:
            padding = self.file.read(1)[0]
            self.file.seek(padding, io.SEEK_CUR)
        start, size = self.file.tell(), math.prod(shape) * kind.itemsize
        if start + size > len(self.content):
            raise UnreadableError("it ends in the middle of an array")
        self.file.seek(size, io.SEEK_CUR)
        return np.ndarray(shape, kind, self.content, start, order="F" if order == "F" else "C")

    def _objects(self) -> list:
        """Read an array of Python objects, which is a pickle of its own within the file."""
        inner = Machine(self.content, self.file.tell())
        found = inner.load()
        self.file.seek(inner.file.tell())
        if not (isinstance(found, Inert) and found.name == RECONSTRUCT and isinstance(found.state[-1], list)):
            raise UnreadableError("it holds an array of objects that is not a list")
        return found.state[-1]


def number_type(found: Any) -> np.dtype | None:
    """Return the dtype that an Inert stands for: numbers, text or a record of these; None for objects."""
    if not isinstance(found, Inert) or found.name != DTYPE:
        raise UnreadableError("it holds an array without a dtype")
    code, (_, byte_order, _, names, fields, size, *_) = found.args[0], found.state
    if code == "O8":
        return None
    if names is None:
        if not re.fullmatch(r"f[248]|[iu][1248]|b1|U[0-9]{1,4}", code):
            raise UnreadableError(f"it holds an array of {code[:20]!r} and not of numbers")
        return np.dtype(code).newbyteorder(">" if byte_order == ">" else "<")
    kinds = [number_type(fields[name][0]) for name in names]
    if any(kind is None for kind in kinds):
        raise UnreadableError("it holds records of Python objects")
    offsets = [fields[name][1] for name in names]
    return np.dtype({"names": list(names), "formats": kinds, "offsets": offsets, "itemsize": size})


def integer(value: Any) -> int:
    """Return the int that a plain value or a numpy scalar stands for."""
    if isinstance(value, Inert) and value.name == SCALAR:
        value = np.frombuffer(value.args[1], number_type(value.args[0]), 1)[0].item()
    if type(value) is not int:
        raise UnreadableError(f"it gives a {type(value).__name__} where a whole number belongs")
    return value


def _content(path: Path, max_bytes: int) -> bytes:
    if path.stat().st_size > max_bytes:
        raise UnreadableError(f"it has more than {max_bytes} bytes, the most that is read")
    content = path.read_bytes()
    for magic, start in COMPRESSIONS.items():
        if content.startswith(magic):
            return _expanded(start(), content, max_bytes)
    return content


def _expanded(decompressor: Any, content: bytes, max_bytes: int) -> bytes:
    expanded = decompressor.decompress(content, max_bytes + 1)
    if len(expanded) > max_bytes:
        raise UnreadableError(f"it expands to more than {max_bytes} bytes, the most that is read")
    if not decompressor.eof:
        raise UnreadableError("its compressed content is cut short")
    return expanded
