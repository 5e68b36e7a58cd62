"""Small .joblib files that cost a naive reader far more memory or time than their size suggests."""

import pickle
import struct
import zlib

TREE = "sklearn.tree._tree.Tree"


def program(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def memo(number: int) -> bytes:
    """Push the value that was memoized as `number`."""
    return b"j" + struct.pack("<I", number)


def integer(value: int) -> bytes:
    content = pickle.encode_long(value)
    return b"\x8a" + bytes([len(content)]) + content


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def name(full: str) -> bytes:
    """Push a class."""
    module, _, last = full.rpartition(".")
    return text(module) + text(last) + b"\x93"


def doubled(times: int = 60) -> bytes:
    """Push a tuple of two tuples of two tuples …; memoizes `times` + 1 values, numbered from 0."""
    return b")\x94" + b"".join(memo(n) + memo(n) + b"\x86\x94" for n in range(times))


def dtype(code: str, names: bytes = b"N", fields: bytes = b"N", size: int = -1, inner: bytes = b"N", flags: int = 0):
    """Push a dtype."""
    arguments = name("numpy.dtype") + text(code) + b"\x89\x88\x87R"
    sizes = b"J" + struct.pack("<i", size) + b"J" + struct.pack("<i", -1)
    return arguments + b"(K\x03" + text("<") + inner + names + fields + sizes + b"K" + bytes([flags]) + b"tb"


def array(shape: bytes, dtype: bytes, content: bytes = b"", more: bytes = b"") -> bytes:
    """Push an array whose numbers are `content`; `more` are further items of its state."""
    items = text("shape") + shape + text("order") + text("C") + text("dtype") + dtype + more
    return name("joblib.numpy_pickle.NumpyArrayWrapper") + b")\x81}(" + items + b"ub" + content


def view(number: int, leaves: int) -> bytes:
    """Push an array, as pickles of protocol 5 hold it, of the bytes that were memoized as `number`."""
    shape = b"(" + integer(leaves) + b"K\x01K\x01t"
    return name("numpy._core.numeric._frombuffer") + b"(" + memo(number) + dtype("f8") + shape + text("C") + b"tR"


def forest(**state: bytes) -> bytes:
    items = b"".join(text(key) + value for key, value in state.items())
    return name("sklearn.ensemble._forest.RandomForestClassifier") + b")\x81}(" + items + b"ub"


def tree(nodes: bytes, values: bytes) -> bytes:
    inner = name(TREE) + b")\x81}(" + text("nodes") + nodes + text("values") + values + b"ub"
    return name("sklearn.tree._classes.DecisionTreeClassifier") + b")\x81}(" + text("tree_") + inner + b"ub"


FIELDS = {
    "left_child": "i8", "right_child": "i8", "feature": "i8", "threshold": "f8", "impurity": "f8",
    "n_node_samples": "i8", "weighted_n_node_samples": "f8", "missing_go_to_left": "u1",
}  # fmt: skip


def node_type(size: int = 64, step: int = 8) -> bytes:
    """Push the dtype of a tree's nodes, whose fields begin `step` bytes apart."""
    fields = (text(field) + dtype(code) + integer(step * n) + b"\x86" for n, (field, code) in enumerate(FIELDS.items()))
    return dtype("V", b"(" + b"".join(map(text, FIELDS)) + b"t", b"}(" + b"".join(fields) + b"u", size)


def record(names: bytes, fields: bytes) -> bytes:
    """Push and memoize a dtype of 8 bytes."""
    return dtype("V8", names, b"}(" + fields + b"u", 8) + b"\x94"


def field(key: str, number: int) -> bytes:
    """Return the item of a record's fields, whose dtype was memoized as `number`."""
    return text(key) + memo(number) + b"K\x00\x86"


def small(estimators: bytes, classes: bytes) -> bytes:
    return forest(estimators_=estimators, classes_=classes, n_outputs_=b"K\x01", n_features_in_=b"K\x01")


ONE = struct.pack("<d", 1.0)
LEAF = struct.pack("<qqqddqdQ", -1, -1, -2, -2.0, 0.0, 1, 1.0, 0)
ONE_LEAF = tree(array(b"K\x01\x85", node_type(), LEAF), array(b"K\x01K\x01K\x01\x87", dtype("f8"), ONE))
ONE_CLASS = array(b"K\x01\x85", dtype("i8"), bytes(8))


def chain(depth: int) -> bytes:
    """Push a tree whose right children have two children each, down to `depth`."""
    rows = [LEAF if n % 2 else inner(n + 1) for n in range(2 * depth)]
    count = integer(len(rows) + 1)
    values = array(count + b"K\x01K\x01\x87", dtype("f8"), ONE * (len(rows) + 1))
    return tree(array(count + b"\x85", node_type(), b"".join([*rows, LEAF])), values)


def inner(child: int) -> bytes:
    return struct.pack("<qqqddqdQ", child, child + 1, 0, 0.5, 0.0, 1, 1.0, 0)


MANY = 1_000_000
BOMBS = {  # how each is made, and a part of the message that refuses it
    "a key of tuples doubled 60 times": (lambda: program(doubled(), b"}", memo(60), b"Ns"), "a key is of type tuple"),
    "such a key among several": (lambda: program(doubled(), b"}(", memo(60), b"Nu"), "a key is of type tuple"),
    "fields with such names": (
        lambda: program(doubled(), array(b"K\x01\x85", dtype("V8", memo(60) + b"\x85", b"}", 8), bytes(8))),
        "fields with names",
    ),
    "classes that are such tuples": (
        lambda: program(doubled(), small(b"](" + ONE_LEAF + b"e", b"](" + memo(60) + b"e")),
        "classes are named by texts or finite numbers",
    ),
    "keys of one hash": (
        lambda: program(b"}(", *(integer(n * (2**61 - 1)) + b"N" for n in range(1, 50_000)), b"u"),
        "a key is of type int",
    ),
    "a shape of many large numbers": (
        lambda: program(array(b"(" + integer(2**2000) * 20_000 + b"t", dtype("f8"))),
        "no possible shape",
    ),
    "records of records, doubled 60 times": (
        lambda: program(
            dtype("f8"),
            b"\x94",
            *(record(b"(" + text("a") + text("b") + b"t", field("a", n) + field("b", n)) for n in range(60)),
            array(b"K\x01\x85", memo(60), bytes(8)),
        ),
        "records of records",
    ),
    "a large state for many arrays": (
        lambda: program(
            b"}(",
            *(text(f"{n}") + b"N" for n in range(50_000)),
            text("shape") + b"K\x00\x85" + text("order") + b"N" + text("dtype") + dtype("f8"),
            b"u\x94",
            name("joblib.numpy_pickle.NumpyArrayWrapper"),
            b"\x94",
            (memo(1) + b")\x81" + memo(0) + b"b") * 20_000,
        ),
        "a ndarray and not a forest",
    ),
    "many fields for many arrays": (
        lambda: program(
            dtype("f8"),
            b"\x94",
            record(
                b"(" + b"".join(text(f"{n}") for n in range(20_000)) + b"t",
                b"".join(field(f"{n}", 0) for n in range(20_000)),
            ),
            array(b"K\x00\x85", memo(1)) * 1_000,
        ),
        "at most 32 fields",
    ),
    "many arguments for many objects": (
        lambda: program(
            b"(" + b"N" * 100_000 + b"t\x94" + name(TREE) + b"\x94" + (memo(1) + memo(0) + b"R") * 20_000
        ),
        "holds a Tree",
    ),
    "arguments that are an array": (
        lambda: program(name(TREE), array(integer(20 * MANY) + b"\x85", dtype("u1"), bytes(20 * MANY)), b"R"),
        "calls a type with a ndarray",
    ),
    "a tree that is there many times": (
        lambda: program(ONE_LEAF, b"\x94", small(b"](" + memo(0) * 100_000 + b"e", ONE_CLASS)),
        "it holds a tree, or a part of one, twice",
    ),
    "values that many trees share": (
        lambda: program(
            array(b"K\x01K\x01" + integer(50_000) + b"\x87", dtype("f8"), bytes(400_000)),
            b"\x94",
            small(
                b"](" + tree(array(b"K\x01\x85", node_type(), LEAF), memo(0)) * 2_000 + b"e",
                array(integer(50_000) + b"\x85", dtype("u1"), bytes(50_000)),
            ),
        ),
        "it holds a tree, or a part of one, twice",
    ),
    "a buffer that many trees share": (
        lambda: program(
            b"\x8e" + struct.pack("<Q", 400_000) + ONE * 50_000,
            b"\x94",
            small(
                b"](" + tree(array(b"K\x01\x85", node_type(), LEAF), view(0, 50_000)) * 2_000 + b"e",
                array(integer(50_000) + b"\x85", dtype("u1"), bytes(50_000)),
            ),
        ),
        "it holds a tree, or a part of one, twice",
    ),
    "a set of tuples doubled 60 times": (lambda: program(doubled(), b"\x8f(", memo(60), b"\x90"), "holds a list"),
    "the same as a frozenset": (lambda: program(doubled(), b"(", memo(60), b"\x91"), "holds a list"),
    "classes without a byte": (
        lambda: program(small(b"](" + ONE_LEAF + b"e", array(integer(1000 * MANY) + b"\x85", dtype("U0", flags=8)))),
        "'U0' and not of numbers",
    ),
    "millions of classes": (
        lambda: program(
            small(b"](" + ONE_LEAF + b"e", array(integer(20 * MANY) + b"\x85", dtype("u1"), bytes(20 * MANY)))
        ),
        "20000000 classes",
    ),
    "millions of lists": (lambda: program(b"]" * 2 * MANY), "more than 1000000 instructions"),
    "millions of memoized values": (lambda: program(b"N", b"\x94" * 2 * MANY), "more than 1000000 instructions"),
    "a text of characters of four bytes": (
        lambda: program(text("\U0001f600" + "a" * 100 * MANY)),
        "33554432 bytes beside its arrays",
    ),
    "nodes whose fields overlap": (
        lambda: program(
            small(
                b"](" + tree(array(integer(10 * MANY) + b"\x85", node_type(8, 0), bytes(80 * MANY)), ONE_CLASS) + b"e",
                ONE_CLASS,
            )
        ),
        "fields overlap",
    ),
    "a tree of many levels": (
        lambda: program(small(b"](" + chain(200_000) + b"e", ONE_CLASS)),
        "deeper than 10000 levels",
    ),
    "a file that expands a thousandfold": (
        lambda: zlib.compress(bytes(300 * MANY), 1),
        "expands to more than 178956970 bytes",
    ),
}  # fmt: skip
