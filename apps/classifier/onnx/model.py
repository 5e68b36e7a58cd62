"""Evaluates an ONNX model with onnxruntime, in portions that fit into the memory that the pod can spare."""

import threading
import time
from collections.abc import Sequence

import numpy as np

from apps.classifier.artifact.content import UnreadableError, process_bytes
from apps.classifier.evaluator import RowError
from apps.classifier.onnx import checking
from apps.classifier.onnx.inputs import FLOATS, TEXT, Inputs
from apps.classifier.onnx.session import RunError, Session
from apps.serving.machine import memory
from apps.serving.problems import ClientGone
from apps.serving.runtime import Work
from models.features import Feature

MAX_OUTPUTS = 100_000
ROWS = 256  # evaluated at once, so that a large request needs no more memory than these
ROW_SECONDS = 5  # that a row may take: beyond it no model is served
BRIEF_ROWS, BRIEF_SECONDS = 4, 0.001  # that the event loop may spend
REPEATS, REPEAT_SECONDS = 10, 0.1  # of the measurement of a row: the machine may be busy at one moment
LABELS = (TEXT, "tensor(int64)", "tensor(int32)")  # types of a classifier's label
Answers = tuple[np.ndarray, np.ndarray]  # numbers and places of classes, as `answers` returns them
ALONE = "its answer to a row depends on the rows beside it"


class OnnxModel:
    """An ONNX model whose inputs take the features of a row in their order, each input as many as it is wide."""

    def __init__(self, content: bytes, features: Sequence[Feature] | None = None, classes: Sequence[str] = ()) -> None:
        """Load an ONNX file; raise UnreadableError, in one line without its path, where it is not served.

        `features` are those of the manifest, by default numbers.
        """
        most = process_bytes()
        try:
            with memory.bounded(most):
                self._load(content, features, classes)
        except MemoryError:
            reason = f"loading it takes more than the memory limit, {most / 1e6:.0f} MB, leaves"
            raise UnreadableError(f"{reason}. If you trust the file, raise the limit") from None

    def _load(self, content: bytes, features: Sequence[Feature] | None, classes: Sequence[str]) -> None:
        checked = checking.parse(content)
        self.classes = tuple(classes) or checked.labels
        texts = [value for feature in features or () if feature.has_texts for value in feature.values]
        self._session = Session(checked.content, max([checked.longest_text, *(len(str(t).encode()) for t in texts)]))
        self.inputs = Inputs(self._session.inputs)
        self.n_features = len(self.inputs.types)
        if features is not None:
            self.inputs.describe(features)
        outputs = [value.name for value in self._session.outputs if value.type in FLOATS]
        if not outputs:
            raise UnreadableError("it has no output of numbers")
        self._outputs = outputs[-1:]
        # A classifier's first output is its label, which need not be the most probable class.
        if checked.labels and self._session.outputs[0].type in LABELS:
            self._outputs.append(self._session.outputs[0].name)
        own = checked.labels if len(checked.labels) == len(self.classes) else ()  # texts or numbers, in the same order
        self._places = {name: place for names in (own, self.classes) for place, name in enumerate(names)}
        self._rows = 1 if self.inputs.one_row else ROWS
        self.outputs, self.row_seconds = self._measured()
        self.brief_rows = 0 if checked.has_sizes_from_values else min(BRIEF_ROWS, int(BRIEF_SECONDS / self.row_seconds))

    @property
    def failure(self) -> str | None:
        """Why it can answer nothing until the process is restarted, or None."""
        return self._session.failure

    def evaluate(self, rows: np.ndarray, work: Work | None = None) -> np.ndarray:
        """Return float64 (n, classes or outputs) for `rows` (n, n_features): probabilities, or values.

        A category of texts is the position of its value, or -1 for all others; NaN is a missing value. Raises RowError,
        and ClientGone soon after `work` is cancelled.
        """
        return self.answers(rows, work)[0]

    def answers(self, rows: np.ndarray, work: Work | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return what `evaluate` does, and intp (n,): the place of the class that the model predicts for each row."""
        work = work or Work()
        parts: list[Answers] = []
        start = 0
        while start < len(rows):
            part = rows[start : start + self._rows]
            try:
                parts.append(self._run(part, work))
            except RunError as error:
                if error.lacks_memory and len(part) > 1:
                    self._rows = len(part) // 2
                    continue
                parts += self._singly(part, start, work)
            start += len(part)
        if len(parts) == 1:
            return parts[0]
        numbers, places = zip(*parts, strict=True)
        return np.concatenate(numbers), np.concatenate(places)

    def _singly(self, rows: np.ndarray, start: int, work: Work) -> list[Answers]:
        """Evaluate rows one by one; raise RowError for the first that fails, counted from `start`."""
        parts = []
        for number, row in enumerate(rows):
            try:
                parts.append(self._run(row[None], work))
            except RunError as error:
                raise RowError(start + number, f"does not evaluate it: {error}", again=error.lacks_memory) from None
        return parts

    def _run(self, rows: np.ndarray, work: Work) -> Answers:
        result, *labels = self._session.run(self._outputs, self.inputs.tensors(rows), work)
        if result.ndim not in (1, 2) or len(result) != len(rows):
            raise RunError(f"it answers {len(rows)} rows by numbers of the shape {result.shape}")
        numbers = result.astype(np.float64).reshape(len(rows), -1)
        return numbers, self._predicted(labels[0], len(rows)) if labels else numbers.argmax(axis=1)

    def _predicted(self, labels: np.ndarray, count: int) -> np.ndarray:
        """Return intp (count,): the places of `labels` among the classes."""
        names = [*map(str, labels.ravel().tolist())]
        if len(names) != count or (unknown := {*names} - self._places.keys()):
            example = next(iter(unknown), "")[:80] if len(names) == count else f"{len(names)} labels for {count} rows"
            raise RunError(f"it predicts {example!r}, and its classes are {', '.join(self._places)[:200]}")
        return np.array([self._places[name] for name in names], np.intp)

    def _measured(self) -> tuple[int, float]:
        """Return how many numbers answer a row, and the seconds that takes; raise UnreadableError beyond the bounds."""
        rows = np.zeros((3, self.n_features))
        (answer, _), seconds, begun = self._timed(rows[:1]), float("inf"), time.perf_counter()
        for _ in range(REPEATS):
            start = time.perf_counter()
            self.evaluate(rows[:1])
            seconds = min(seconds, time.perf_counter() - start)
            if time.perf_counter() - begun > REPEAT_SECONDS:
                break
        width = answer.shape[1]
        if not 1 <= width <= MAX_OUTPUTS or (self.classes and width != len(self.classes)):
            expected = f"{len(self.classes)} classes" if self.classes else f"a row; at most {MAX_OUTPUTS} are served"
            raise UnreadableError(f"it answers {width} numbers for {expected}")
        if not np.allclose(self._timed(rows)[0], np.repeat(answer, 3, axis=0), equal_nan=True):
            raise UnreadableError(ALONE)
        return width, seconds

    def _timed(self, rows: np.ndarray) -> Answers:
        work = Work()
        timer = threading.Timer(ROW_SECONDS * len(rows), work.cancel)
        timer.start()
        try:
            return self._run(rows, work) if len(rows) <= self._rows else self.answers(rows, work)
        except ClientGone:
            raise UnreadableError(f"it does not answer a row within {ROW_SECONDS} s") from None
        except RunError as error:
            if error.lacks_memory and len(rows) > 1:
                self._rows = 1
                return self._timed(rows)
            raise UnreadableError(f"onnxruntime does not evaluate it: {error}") from None
        except RowError as error:
            raise UnreadableError(f"onnxruntime {error}") from None
        finally:
            timer.cancel()
