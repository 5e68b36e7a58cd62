"""Stand-ins for the objects in a .joblib file: they keep what the file says of an object, and do nothing with it."""

from typing import Any

CLASSIFIERS = {
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.ExtraTreesClassifier",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.ExtraTreeClassifier",
}
FORESTS = CLASSIFIERS | {name.replace("Classifier", "Regressor") for name in CLASSIFIERS}
SUPPORTED = "RandomForest, ExtraTrees, DecisionTree and ExtraTree, each as Classifier or Regressor"
TREES = {name for name in FORESTS if name.startswith("sklearn.tree.")}
TREE = "sklearn.tree._tree.Tree"
WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"  # of an array whose numbers follow in the file
DTYPE = "numpy.dtype"
SCALAR = "numpy._core.multiarray.scalar"
RECONSTRUCT = "numpy._core.multiarray._reconstruct"  # arrays in pickles up to protocol 4, and arrays of Python objects
FROM_BUFFER = "numpy._core.numeric._frombuffer"  # arrays in pickles of protocol 5
ENCODE = "_codecs.encode"  # bytes in pickles of protocol 2
RANDOM = {  # what a forest keeps of random_state=numpy.random.RandomState(…), which no prediction needs
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._mt19937.MT19937",
    "numpy.random.bit_generator.SeedSequence",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
}
ARRAY_TYPES = {"numpy.ndarray", "numpy.memmap"}  # named in the file, never called
OWN = {f"datetime.{name}" for name in ("datetime", "date", "timedelta", "timezone")} | {  # the user's own attributes
    f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "bytes", "bytearray")
}
KNOWN = FORESTS | RANDOM | ARRAY_TYPES | OWN | {TREE, WRAPPER, DTYPE, SCALAR, RECONSTRUCT, FROM_BUFFER, ENCODE}


class Inert:
    """Stands for one object in the file: the name of its class, its constructor's arguments, and its state."""

    __slots__ = ("args", "state")
    name = ""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args
        self.state: Any = None


STAND_INS = {name: type(name.rpartition(".")[2], (Inert,), {"__slots__": (), "name": name}) for name in KNOWN}
