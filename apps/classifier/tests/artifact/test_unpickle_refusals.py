"""A .joblib file is a program by its author: none of it runs, and the message names what was refused."""

import builtins
import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib.numpy_pickle import NumpyArrayWrapper
from joblib.numpy_pickle_compat import NDArrayWrapper

from apps.classifier.artifact import content, loading, unpickle
from apps.classifier.artifact.content import UnreadableError
from apps.classifier.tests import forests

MARKER = "marker"  # a file that every attack would create in the working directory


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ATTACKS = {
    "os.system": (Calls(os.system, f"touch {MARKER}"), "system"),
    "eval": (Calls(eval, f"open('{MARKER}', 'w')"), "builtins.eval"),
    "exec": (Calls(exec, f"open('{MARKER}', 'w')"), "builtins.exec"),
    "open": (Calls(builtins.open, MARKER, "w"), "io.open"),
    "getattr": (Calls(getattr, "", "join"), "builtins.getattr"),
    "Popen": (Calls(subprocess.Popen, ["touch", MARKER]), "subprocess.Popen"),
    "numpy.load": (Calls(np.load, "x.npy"), "numpy.load"),
    "numpy.memmap": (Calls(np.memmap, MARKER, "u1", "w+", 0, (1,)), "numpy.memmap"),
    "pickle.loads": (Calls(pickle.loads, pickle.dumps(Calls(os.system, f"touch {MARKER}"))), "pickle.loads"),
    "joblib.load": (Calls(joblib.load, "x.joblib"), "joblib.numpy_pickle.load"),
    "a joblib of before 0.10": (NDArrayWrapper("x.npy", np.ndarray), "NDArrayWrapper"),
    "another estimator": (Calls(pickle.Pickler, io.BytesIO), "_pickle.Pickler"),
}


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path, monkeypatch):
    """Assert that no attack created its marker."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path(MARKER).exists()


def refused(file: bytes, match: str | None = None, **options) -> str:
    Path("attack.joblib").write_bytes(file)
    with pytest.raises(UnreadableError, match=match) as error:
        unpickle.read(Path("attack.joblib").read_bytes(), **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ATTACKS)
def test_a_program_is_refused_in_every_protocol(name, protocol):
    attack, named = ATTACKS[name]
    text = refused(pickle.dumps(attack, protocol))
    if protocol >= 3:  # earlier ones use names of Python 2, or unknown opcodes
        assert named in text
        assert text.endswith("RandomForest, ExtraTrees, DecisionTree and ExtraTree, each as Classifier or Regressor")


@pytest.mark.parametrize("place", ["random_state", "class_weight", "estimators_", "classes_"])
def test_a_program_inside_a_real_forest_is_refused(digits, place):
    model = joblib.load(forest_file(digits))
    attack = Calls(os.system, f"touch {MARKER}")
    hidden = {"estimators_": [*model.estimators_, attack], "classes_": np.array([attack] * 10, object)}
    setattr(model, place, hidden.get(place, {"a": [attack]}))
    joblib.dump(model, "attack.joblib")
    with pytest.raises(loading.ForestError, match=r"system', which is no part of a forest \(nothing was run\)"):
        loading.load("attack.joblib")


def forest_file(model) -> str:
    joblib.dump(model, "forest.joblib")
    return "forest.joblib"


OPCODE_ATTACKS = {
    "INST": b"(S'touch " + MARKER.encode() + b"'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch " + MARKER.encode() + b"'\no.",
    "NEWOBJ": b"\x80\x04csubprocess\nPopen\n](\x8c\x05touch\x8c\x06" + MARKER.encode() + b"e\x85\x81.",
    "persistent id": b"\x80\x04\x8c\x01xQ.",
    "extension": b"\x80\x04\x82\x01.",
    "missing memo": b"\x80\x04h\x07.",
    "huge memo": b"\x80\x04Nr\xff\xff\xff\x7fj\xff\xff\xff\x7f.",
    "state for a list": b"\x80\x04]}b.",
    "call of a string": b"\x80\x04\x8c\x02os)R.",
    "state for a class": b"\x80\x04cnumpy\ndtype\n}b.",
    "nothing": b"",
    "only a stop": b"\x80\x04.",
    "text": b"hello, world",
    "a frame of 4 EiB": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "bytes of 4 EiB": b"\x80\x05\x8e" + struct.pack("<Q", 2**62) + b"N.",
    "a bytearray of 4 EiB": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"N.",
    "items for what is no set": b"\x80\x04}(K\x01\x90.",
    "a string of 2 GiB": b"\x80\x04X\xff\xff\xff\x7fabc.",
    "a joblib of before 0.10, compressed": b"ZF0x10              " + zlib.compress(b"N."),
    "lists in lists": b"\x80\x04" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "tuples in tuples": b"\x80\x04" + b")" + b"\x85" * 50_000 + b".",
}


@pytest.mark.parametrize("name", OPCODE_ATTACKS)
def test_a_stream_that_misuses_the_machine_is_refused(name):
    refused(OPCODE_ATTACKS[name])


BOMBS = {
    "zlib": lambda data: zlib.compress(data, 1),
    "gzip": lambda data: gzip.compress(data, 1),
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=0),
}


@pytest.mark.slow
@pytest.mark.parametrize("compression", BOMBS)
def test_decompression_of_a_bomb_stops_at_the_limit(compression):
    bomb, limit = BOMBS[compression](bytes(32_000_000)), 500_000
    assert len(bomb) < limit
    tracemalloc.start()
    refused(bomb, "expands to more than 500000 bytes", limit=limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_a_decompressor_may_not_use_gigabytes_of_memory():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    bomb = bytearray(lzma.compress(bytes(1000), filters=filters))
    size = bomb.index(b"\x21\x01") + 2  # of the dictionary, in the block's header
    bomb[size] = 40  # 4 GiB
    header = bytes(bomb[12:20])
    bomb[20:24] = struct.pack("<I", zlib.crc32(header))
    assert "Memory usage limit" in refused(bytes(bomb))


def test_a_file_beyond_the_limit_is_not_read():
    Path("large.joblib").write_bytes(bytes(2000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "memory_limit", lambda: 3000)
        with pytest.raises(loading.ForestError, match="it has 2000 bytes, and at most 1000 are read"):
            loading.load("large.joblib")


def test_a_compressed_file_that_is_cut_short_is_refused(digits):
    joblib.dump(digits, "whole.joblib", compress=3)
    whole = Path("whole.joblib").read_bytes()
    refused(whole[: len(whole) // 2], "cut short")


def test_an_array_that_claims_more_than_the_file_holds_is_refused():
    wrapper = NumpyArrayWrapper(np.ndarray, (10**15,), "C", np.dtype("f8"))
    refused(pickle.dumps(wrapper) + bytes(1000), "ends in the middle of an array")


@pytest.mark.parametrize("shape", [(-1,), ("3",), (2.0,), (True,)])
def test_an_array_of_an_impossible_shape_is_refused(shape):
    wrapper = NumpyArrayWrapper(np.ndarray, shape, "C", np.dtype("f8"))
    refused(pickle.dumps(wrapper) + bytes(1000), "no possible shape")


@pytest.mark.parametrize("dtype", ["V8", "M8[s]", "S4", "c16", [("a", "O")]])
def test_arrays_of_anything_but_numbers_and_text_are_refused(dtype):
    wrapper = NumpyArrayWrapper(np.ndarray, (1,), "C", np.dtype(dtype))
    refused(pickle.dumps(wrapper) + bytes(1000), "not of numbers|Python objects")


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], "text", None, 7])
def test_a_file_of_another_object_is_refused_with_the_supported_classes(value):
    joblib.dump(value, "other.joblib")
    text = refused(Path("other.joblib").read_bytes(), f"holds a {type(value).__name__} and not a forest")
    assert "RandomForest, ExtraTrees" in text


def test_another_estimator_of_scikit_learn_is_refused_by_its_name():
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression(), "linear.joblib")
    with pytest.raises(loading.ForestError) as error:
        loading.load("linear.joblib")
    assert str(error.value) == (
        "'linear.joblib' is not served: it names 'sklearn.linear_model._logistic.LogisticRegression', "
        "which is no part of a forest (nothing was run). Supported: RandomForest, ExtraTrees, DecisionTree and "
        "ExtraTree, each as Classifier or Regressor."
    )


def test_a_file_cut_anywhere_is_refused(digits):
    whole = Path(forest_file(digits)).read_bytes()
    for part in range(0, len(whole), len(whole) // 40 + 1):
        refused(whole[:part])


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "small.joblib"
    joblib.dump(forests.digits_forest(trees=2, depth=2), path)
    return path.read_bytes()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_either_a_forest_or_refused(small, data):
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(small) - 1))] = data.draw(st.integers(0, 255))
    Path("damaged.joblib").write_bytes(damaged)
    try:
        forest = loading.load("damaged.joblib")
    except loading.ForestError:
        return
    answer = forest.evaluate(np.zeros((1, forest.n_features), np.float32))
    assert answer.shape == (1, len(forest.classes))
