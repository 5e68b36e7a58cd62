"""Reads a .joblib file without running it. A pickle is a program; none of the opcodes kept here has side effects.

Each class that a forest's file may name becomes an `Inert`, which only keeps its arguments and state; every other name
is refused. Arrays of numbers are read here too, so that joblib, scikit-learn and numpy never interpret the file.
"""

import io
import lzma
import math
import pickle
import struct
import zlib
from collections.abc import Callable
from typing import Any, ClassVar, SupportsIndex

import numpy as np

from apps.classifier.artifact.content import UnreadableError, expanded, max_bytes
from apps.classifier.artifact.inert import ARRAY, RECONSTRUCT, STAND_INS, SUPPORTED, Inert, number_type

PICKLE: Any = pickle  # its types leave out the machine's private parts
MAX_OPERATIONS = 1_000_000  # each tree takes less than 200
MAX_PROGRAM_BYTES = 32 * 1024**2  # of the file, without its arrays
MAX_KEY = 2**31  # larger numbers as keys of a dict can be chosen to collide
# The opcodes that joblib writes for a forest in pickle protocols 3 to 5. None of them imports anything.
OPCODES = """
    PROTO FRAME STOP MARK REDUCE NEWOBJ BUILD GLOBAL STACK_GLOBAL NONE NEWTRUE NEWFALSE BININT BININT1 BININT2
    LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE
    EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS MEMOIZE BINPUT LONG_BINPUT BINGET LONG_BINGET
""".split()  # noqa: SIM905
BROKEN = (  # what the standard library's machine raises for a malformed stream
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    *(struct.error, zlib.error, lzma.LZMAError, OSError, MemoryError, RecursionError),
)


def read(content: bytes, limit: int | None = None) -> Inert:
    """Return the object in a file's `content`, as an Inert whose state holds plain values, arrays and Inerts.

    Raises UnreadableError unless it is a joblib file of known classes, and where its decompressed content exceeds
    `limit` bytes (by default what the memory limit allows).
    """
    try:
        root = Machine(Program(expanded(content, limit or max_bytes()))).load()
    except BROKEN as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise UnreadableError(f"it is not a forest saved by joblib, or is damaged ({reason})") from None
    if not isinstance(root, Inert):
        raise UnreadableError(f"it holds a {type(root).__name__} and not a forest. Supported: {SUPPORTED}")
    return root


class Program(io.BytesIO):
    """The file: instructions, read by `read` and `readline`, with arrays between them. Instructions are bounded."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content, self.bytes_left, self.operations = content, MAX_PROGRAM_BYTES, iter(range(MAX_OPERATIONS))

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes; raise UnreadableError once instructions exceed MAX_PROGRAM_BYTES."""
        self.bytes_left -= len(self.content) if size is None or size < 0 else size
        if self.bytes_left < 0:
            raise UnreadableError(f"it has more than {MAX_PROGRAM_BYTES} bytes beside its arrays of numbers")
        return super().read(size)

    def readline(self, size: int | None = 1000, /) -> bytes:
        """Return a line of at most `size` bytes; names are shorter."""
        return super().readline(size)


class Memo(list[Any]):
    """The values that later instructions refer to, by number; picklers number them in the order of the file."""

    def __setitem__(self, number: SupportsIndex | slice, value: Any) -> None:
        if number != len(self):
            raise UnreadableError("it numbers its parts out of order")
        self.append(value)


class Machine(pickle._Unpickler):
    """The standard library's pickle machine in its Python version, some of whose instructions are replaced.

    No instruction may cost more than its own bytes: repeated, it would take all memory or run without end.
    """

    # Attributes of the base class that its types leave out.
    _file_read: Callable[[int], bytes]
    _file_readline: Callable[[], bytes]
    pop_mark: Callable[[], list[Any]]

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in OPCODES)
    }

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.program, self.memo = program, Memo()

    def load(self) -> Any:
        """Execute instructions up to STOP, as the standard library's `load` does, but at most MAX_OPERATIONS."""
        self._unframer = PICKLE._Unframer(self._file_read, self._file_readline)
        self.read, self.readline = self._unframer.read, self._unframer.readline
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.proto = 0
        self.append = self.stack.append
        try:
            for _ in self.program.operations:
                self.dispatch[self.read(1)[0]](self)
        except PICKLE._Stop as stop:
            return stop.value
        raise UnreadableError(f"it has more than {MAX_OPERATIONS} instructions; 5,000 trees have less")

    def find_class(self, module: str, name: str) -> type[Inert]:
        """Return the stand-in for a class; raise UnreadableError for a name that no forest needs."""
        full = f"{module}.{name}".replace("numpy.core.", "numpy._core.")
        if full not in STAND_INS:
            rule = f"which is no part of a forest (nothing was run). Supported: {SUPPORTED}"
            raise UnreadableError(f"it names {full[:200]!r}, {rule}")
        return STAND_INS[full]

    def load_reduce(self) -> None:
        """Make an Inert, instead of a call (REDUCE) or a call of `__new__` (NEWOBJ)."""
        arguments, stand_in = self.stack.pop(), self.stack[-1]
        if type(stand_in) is not type or type(arguments) is not tuple:
            raise UnreadableError(f"it calls a {type(stand_in).__name__} with a {type(arguments).__name__}")
        self.stack[-1] = stand_in(arguments)

    def load_build(self) -> None:
        """Store an object's state; replace an array's stand-in by the array, whose numbers follow in the file."""
        state, inert = self.stack.pop(), self.stack[-1]
        if not isinstance(inert, Inert):
            raise UnreadableError(f"it gives a state to a {type(inert).__name__}")
        inert.state = state
        if inert.name == ARRAY:
            self.stack[-1] = self._array(state)

    def load_setitem(self) -> None:
        """Set one item of a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def load_setitems(self) -> None:
        """Set several items of a dict."""
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]], dispatch[pickle.SETITEMS[0]] = load_setitem, load_setitems

    def _set(self, key: Any, value: Any) -> None:
        small = type(key) in (int, float) and abs(key) < MAX_KEY and key == int(key)
        if type(self.stack[-1]) is not dict or not (small or type(key) in (str, bool) or isinstance(key, Inert)):
            raise UnreadableError(f"a key is of type {type(key).__name__}; texts and small whole numbers are read")
        self.stack[-1][key] = value

    def _array(self, state: dict[str, Any]) -> np.ndarray | list[Any]:
        shape, dtype = state["shape"], number_type(state["dtype"])
        if dtype is None:
            return self._objects()
        content, file = self.program.content, self.program
        if type(shape) is not tuple or len(shape) > 3 or not all(type(n) is int and n >= 0 for n in shape):
            raise UnreadableError("it holds an array of no possible shape")
        if state.get("numpy_array_alignment_bytes") is not None:
            file.seek(file.read(1)[0], io.SEEK_CUR)
        start, size = file.tell(), math.prod(shape) * dtype.itemsize
        if start + size > len(content):
            raise UnreadableError("it ends in the middle of an array")
        file.seek(size, io.SEEK_CUR)
        return np.ndarray(shape, dtype, content, start, order="F" if state["order"] == "F" else "C")

    def _objects(self) -> list[Any]:
        """Read an array of Python objects, which is a pickle of its own within the file."""
        inert = Machine(self.program).load()
        if not (isinstance(inert, Inert) and inert.name == RECONSTRUCT and isinstance(inert.state[-1], list)):
            raise UnreadableError("it holds an array of objects that is not a list")
        return inert.state[-1]
