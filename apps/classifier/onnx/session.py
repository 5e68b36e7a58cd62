"""Runs onnxruntime within bounds on memory and time: a run fails instead of the pod, and can be stopped."""

import functools
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from apps.classifier.artifact.content import UnreadableError, max_bytes
from apps.serving.runtime import Work

UNBOUNDED = ["ConstantFolding"]  # evaluates parts of a model while it is loaded, outside the bound on memory
PLACE = re.compile(r"\S*\.(cc|h):\d+ .*?\([^()]*\)( \[with .*\])? ")  # file, line and function in onnxruntime's source
TEXT_BYTES, SHORT_BYTES = 32, 15  # of a std::string in the arena; characters that it holds itself
OUTSIDE_BYTES = 32  # that malloc adds to the characters of a longer text
STOP_SECONDS = 10  # onnxruntime stops between two operators; none should take longer

_is_bounded = False  # once in a process, which serves one model


class RunError(Exception):
    """Why onnxruntime does not evaluate some rows; `lacks_memory` tells that fewer rows may be evaluated."""

    def __init__(self, error: Exception | str) -> None:
        super().__init__(_line(error))
        self.lacks_memory = any(words in str(error) for words in ("Available memory", "allocate memory", "bad_alloc"))


class Session:
    """A loaded model; several threads may run it at once."""

    def __init__(self, content: bytes, longest_text: int) -> None:
        """Load an ONNX file, whose longest text has so many bytes.

        Raises UnreadableError, in one line without its path, and MemoryError.
        """
        try:
            self._session = onnxruntime.InferenceSession(
                content, _options(longest_text), providers=["CPUExecutionProvider"], disabled_optimizers=UNBOUNDED
            )
        except Exception as error:  # onnxruntime has no class for all of its errors
            if "bad_alloc" in str(error):
                raise MemoryError from None
            raise UnreadableError(f"onnxruntime does not load it: {_line(error)}") from None
        self.inputs, self.outputs = self._session.get_inputs(), self._session.get_outputs()
        self._running: dict[object, Work] = {}

    @property
    def failure(self) -> str | None:
        """Why only a restart helps: a run that was told to stop goes on. None otherwise."""
        late = time.monotonic() - STOP_SECONDS
        if any((work.cancelled_at or late) < late for work in list(self._running.values())):
            return f"An evaluation does not end {STOP_SECONDS} s after it was given up; only a restart ends it."
        return None

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray], work: Work) -> list[np.ndarray]:
        """Return the tensors `outputs`; raise RunError, and ClientGone soon after `work` is cancelled."""
        options, key = onnxruntime.RunOptions(), object()
        work.on_cancel = functools.partial(setattr, options, "terminate", True)
        work.check()  # it may have been cancelled before that
        self._running[key] = work
        try:
            results = self._session.run(outputs, feeds, options)
        except Exception as error:  # onnxruntime has no class for all of its errors
            work.check()
            raise RunError(error) from None
        finally:
            del self._running[key]
        return [np.asarray(result) for result in results]


def _options(longest_text: int) -> Any:
    global _is_bounded
    if not _is_bounded:
        _bound_memory(longest_text)
        _is_bounded = True
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # requests run beside each other
    options.log_severity_level = 4  # errors come as exceptions
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


def _bound_memory(longest_text: int) -> None:
    """Give all sessions of this process one arena, whose bound makes an operator fail instead of the pod.

    The characters of longer texts lie outside of the arena, so that it has to be smaller by as much: where they cannot
    be allocated, some operators end the process.
    """
    share = TEXT_BYTES / (TEXT_BYTES + OUTSIDE_BYTES + longest_text) if longest_text > SHORT_BYTES else 1
    info = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    arena = onnxruntime.OrtArenaCfg({"max_mem": int(max_bytes() * share), "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(info, arena)


def _line(error: Exception | str) -> str:
    """Return an error of onnxruntime in one line, without the place in its source."""
    text = " ".join(str(error).split()).removeprefix("[ONNXRuntimeError] : ")
    text = PLACE.sub("", text.rpartition("Status Message: ")[2])
    return text.replace("std::bad_alloc", "it takes more memory than is left")[:300]
