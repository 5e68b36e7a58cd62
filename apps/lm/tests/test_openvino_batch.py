"""The batch on OpenVINO with a stand-in for its pipeline, which is in no environment together with torch."""

import importlib
import sys
from enum import Enum
from types import SimpleNamespace

import pytest

from apps.lm.member import Member


class Status(Enum):
    RUNNING = 1
    CANCEL = 2


class Handle:
    """One more token at each `read`; or what it raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.status, self.unread = error, Status.RUNNING, 0

    def can_read(self) -> bool:
        return self.unread > 0

    def read(self) -> dict:
        self.unread -= 1
        if self.error:
            raise self.error
        return {0: SimpleNamespace(generated_ids=[7])}

    def get_status(self) -> Status:
        return self.status

    def cancel(self) -> None:
        self.status = Status.CANCEL


class Pipeline:
    """Computes a token for each handle in a step."""

    def __init__(self, *handles: Handle) -> None:
        self.coming, self.handles = list(handles), []

    def add_request(self, *_) -> Handle:
        self.handles.append(self.coming.pop(0))
        return self.handles[-1]

    def step(self) -> None:
        for handle in self.handles:
            handle.unread += handle.status is Status.RUNNING


@pytest.fixture
def make(monkeypatch):
    """Return OpenVinoBatch."""
    genai = {"ContinuousBatchingPipeline": Pipeline, "GenerationConfig": SimpleNamespace, "GenerationStatus": Status}
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Tensor=list))
    monkeypatch.setitem(sys.modules, "openvino_genai", SimpleNamespace(SchedulerConfig=None, **genai))
    monkeypatch.delitem(sys.modules, "apps.lm.openvino_batch", raising=False)
    yield importlib.import_module("apps.lm.openvino_batch").OpenVinoBatch
    sys.modules.pop("apps.lm.openvino_batch")


def test_one_whose_tokens_cannot_be_collected_ends_alone(make):
    good, bad = Handle(), Handle(RuntimeError("broken"))
    batch, first, second = make(Pipeline(bad, good)), Member([1], 3), Member([2], 3)
    for member in (first, second):
        batch.join(member)
    assert batch.step() == [first, second]
    assert (str(first.error), bad.status) == ("broken", Status.CANCEL)
    assert batch.step() == batch.step() == [second]
    assert (second.tokens, second.error) == ([7, 7, 7], None)
