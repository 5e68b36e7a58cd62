"""Reads a .joblib file without running it. A pickle is a program; none of the opcodes kept here has side effects.

Each class that a forest's file may name becomes an `Inert`, which only keeps its arguments and state; every other name
is refused. Arrays of numbers are read here too, so that joblib, scikit-learn and numpy never interpret the file.
"""

import io
import lzma
import pickle
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, SupportsIndex

import numpy as np

from apps.classifier.artifact.arrays import array, array_bytes, number_type, numpy_array
from apps.classifier.artifact.content import UnreadableError, expanded, max_bytes
from apps.classifier.artifact.inert import ARRAY_TYPES, STAND_INS, SUPPORTED, WRAPPER, Inert

PICKLE: Any = pickle  # its types leave out the machine's private parts
MAX_OPERATIONS = 1_000_000  # each tree takes less than 200
MAX_PROGRAM_BYTES = 32 * 1024**2  # of the file, without its arrays
OLD_PROTOCOLS = {"copy_reg._reconstructor", "copyreg._reconstructor"}  # what protocols 0 and 1 make every object with
SAVE_AGAIN = "Load it where it was made, and joblib.dump it again"
MAX_KEY = 2**31  # larger numbers as keys of a dict can be chosen to collide
# The opcodes that pickle and joblib write for a forest in protocols 2 to 5. None of them imports anything.
OPCODES = """
    PROTO FRAME STOP MARK REDUCE NEWOBJ BUILD GLOBAL STACK_GLOBAL NONE NEWTRUE NEWFALSE BININT BININT1 BININT2
    LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_TUPLE TUPLE1 TUPLE2
    TUPLE3 TUPLE EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET
    MEMOIZE BINPUT LONG_BINPUT BINGET LONG_BINGET
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
        raise UnreadableError(f"it is not a forest saved by joblib or pickle, or is damaged ({reason})") from None
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
            raise UnreadableError(
                f"it has more than {MAX_PROGRAM_BYTES} bytes beside its arrays of numbers. {SAVE_AGAIN}"
            )
        return super().read(size)

    def skip(self, size: int) -> int:
        """Pass over bytes of an array, which do not count as instructions; return where they start."""
        start = self.tell()
        if start + size > len(self.content):
            raise UnreadableError("it ends in the middle of an array")
        self.seek(size, io.SEEK_CUR)
        return start

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

    pop_mark: Callable[[], list[Any]]  # the base class's types leave it out

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in OPCODES)
    }

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.program, self.memo = program, Memo()

    def load(self) -> Any:
        """Execute instructions up to STOP, as the standard library's `load` does, but at most MAX_OPERATIONS."""
        self.read, self.readline = self.program.read, self.program.readline
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
        if full in STAND_INS:
            return STAND_INS[full]
        if full in OLD_PROTOCOLS:
            raise UnreadableError(f"it is a pickle of protocol 0 or 1. {SAVE_AGAIN}")
        rule = f"names {full[:200]!r}, which is no part of a forest (nothing was run)"
        if attribute := self._attribute():
            remedy = f"Load it where it was made, `del model.{attribute}`, and joblib.dump it again"
            raise UnreadableError(f"its attribute {attribute!r} {rule}. {remedy}")
        raise UnreadableError(f"it {rule}. Supported: {SUPPORTED}")

    def _attribute(self) -> str | None:
        """Return the attribute of the model whose value is being read; None for the model itself."""
        if not self.metastack or not (items := [*self.metastack, self.stack][1]):
            return None
        place = (len(items) - 1) // 2 * 2  # keys and values take turns; the last value may be missing
        if place >= 2 and type(items[place - 1]) is dict and not items[place - 1]:
            place -= 2  # the key of a dict of one item, which follows the dict
        key = items[place]
        return str(key) if type(key) is str and key.isidentifier() and len(key) <= 80 else None

    def load_frame(self) -> None:
        """Skip the length of a frame: what it frames is read as it stands."""
        self.read(8)

    def load_bytes(self, length: int) -> None:
        """Push bytes, whose number is in the next `length` bytes, as a view into the file."""
        size = int.from_bytes(self.read(length), "little")
        start = self.program.skip(size)
        self.append(memoryview(self.program.content)[start : start + size])

    def load_empty_set(self) -> None:
        """Push a list, because hashing what the file puts into a set can take forever."""
        self.append([])

    def load_additems(self) -> None:
        """Add several items to a set."""
        items = self.pop_mark()
        if type(self.stack[-1]) is not list:
            raise UnreadableError(f"it adds items to a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(items)

    def load_frozenset(self) -> None:
        """Push a list for a frozenset."""
        items = self.pop_mark()  # before `append` is looked up: this changes it
        self.append(items)

    def load_reduce(self) -> None:
        """Make an Inert, instead of a call (REDUCE) or a call of `__new__` (NEWOBJ)."""
        arguments, stand_in = self.stack.pop(), self.stack[-1]
        if type(stand_in) is not type or type(arguments) is not tuple:
            raise UnreadableError(f"it calls a {type(stand_in).__name__} with a {type(arguments).__name__}")
        if (name := getattr(stand_in, "name", "")) in ARRAY_TYPES:
            raise UnreadableError(f"it calls {name!r} (nothing was run). Supported: {SUPPORTED}")
        self.stack[-1] = stand_in(arguments)

    def load_build(self) -> None:
        """Store an object's state; replace an array's stand-in by the array, whose numbers follow in the file."""
        state, inert = self.stack.pop(), self.stack[-1]
        if not isinstance(inert, Inert):
            raise UnreadableError(f"it gives a state to a {type(inert).__name__}")
        inert.state = state
        if inert.name == WRAPPER:
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

    dispatch[pickle.FRAME[0]] = load_frame
    dispatch[pickle.BINBYTES[0]] = partial(load_bytes, length=4)
    dispatch[pickle.BINBYTES8[0]] = dispatch[pickle.BYTEARRAY8[0]] = partial(load_bytes, length=8)
    dispatch[pickle.EMPTY_SET[0]], dispatch[pickle.ADDITEMS[0]] = load_empty_set, load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset
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
        if state.get("numpy_array_alignment_bytes") is not None:
            self.program.skip(self.program.read(1)[0])
        start = self.program.skip(array_bytes(shape, dtype))
        return numpy_array(memoryview(self.program.content), start, shape, dtype, state["order"])

    def _objects(self) -> list[Any]:
        """Read an array of Python objects, which is a pickle of its own within the file."""
        objects = array(Machine(self.program).load())
        if type(objects) is not list:
            raise UnreadableError("it holds an array of objects that is not a list")
        return objects
