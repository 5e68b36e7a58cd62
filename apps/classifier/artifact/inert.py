"""Stand-ins for the objects in a .joblib file: they keep what the file says of an object, and do nothing with it."""

import re
from typing import Any

import numpy as np

from apps.classifier.artifact.content import UnreadableError

FORESTS = {
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.ExtraTreesClassifier",
    "sklearn.tree._classes.DecisionTreeClassifier",
}
SUPPORTED = ", ".join(sorted(name.rpartition(".")[2] for name in FORESTS))
TREES = {"sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree._classes.ExtraTreeClassifier"}
TREE = "sklearn.tree._tree.Tree"
OBJECTS = "O8"  # the dtype code of Python objects
OBJECT_FLAGS = 0b111  # flags of a dtype whose items are Python objects
ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
DTYPE = "numpy.dtype"
SCALAR = "numpy._core.multiarray.scalar"
RECONSTRUCT = "numpy._core.multiarray._reconstruct"  # in arrays of Python objects, such as class labels
RANDOM = {  # what a forest keeps of random_state=numpy.random.RandomState(…), which no prediction needs
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._mt19937.MT19937",
    "numpy.random.bit_generator.SeedSequence",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
}
KNOWN = FORESTS | TREES | RANDOM | {TREE, ARRAY, DTYPE, SCALAR, RECONSTRUCT, "numpy.ndarray"}
MAX_FIELDS = 32  # of a record


class Inert:
    """Stands for one object in the file: the name of its class, its constructor's arguments, and its state."""

    __slots__ = ("args", "state")
    name = ""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args
        self.state: Any = None


STAND_INS = {name: type(name.rpartition(".")[2], (Inert,), {"__slots__": (), "name": name}) for name in KNOWN}


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


def plain(value: Any) -> Any:
    """Return the number or text that the Inert of a numpy scalar stands for, and every other value as it is."""
    if not isinstance(value, Inert) or value.name != SCALAR:
        return value
    dtype = number_type(value.args[0])
    if dtype is None:
        raise UnreadableError("it holds a numpy scalar that is a Python object")
    return np.frombuffer(value.args[1], dtype, 1)[0].item()


def integer(value: Any) -> int:
    """Return an int, or the one that the Inert of a numpy scalar stands for; raise UnreadableError for others."""
    if type(value := plain(value)) is not int:
        raise UnreadableError(f"it gives a {type(value).__name__} where a whole number belongs")
    return value
