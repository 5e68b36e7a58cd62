"""What the controller may have known of the pods around a time, from what was observed of them."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, TypeVar

from loadgen.autoscaler.proposal import PodState, Sample
from loadgen.cluster import observation as observed

POLL_SECONDS = 1.2  # a sample that the controller could see has arrived here after at most this
JITTER_SECONDS = 0.3  # the same of other objects
START_SECONDS = 1.0  # objects are listed one after the other when observation begins


class Timed(Protocol):
    """A record of an arrival at `t`."""

    @property
    def t(self) -> float: ...


Record = TypeVar("Record", bound=Timed)


def at(records: Sequence[Record], t: float) -> Record:
    """The record that held at `t`, the first one before all of them. Raises IndexError without any."""
    return records[max(0, bisect_right(records, t, key=lambda record: record.t) - 1)]


class States:
    """The pods of an observation at any time."""

    def __init__(self, observation: observed.Observation) -> None:
        self._pods = observation.pods
        self._start = min((hpa.t for hpa in observation.hpa), default=0.0) + START_SECONDS
        self._samples: dict[str, list[observed.Sample]] = defaultdict(list)
        for sample in observation.samples:
            self._samples[sample.pod].append(sample)

    def around(self, t: float) -> list[tuple[PodState, ...]]:
        """States that the controller may have seen at `t`, the likeliest first, without repetitions."""
        moments = [
            (t + jitter, t + delay) for delay in (0, POLL_SECONDS) for jitter in (0, -JITTER_SECONDS, JITTER_SECONDS)
        ]
        return list(dict.fromkeys(self.at(pods, samples) for pods, samples in moments))

    def at(self, t: float, samples_until: float) -> tuple[PodState, ...]:
        """All pods at `t`, each with the last sample that had arrived by `samples_until`."""
        return tuple(
            self._state(pod, t, samples_until)
            for pod in self._pods
            if (self._initial(pod) or pod.phase[0][0] <= t) and (pod.gone is None or pod.gone > t)
        )

    def _initial(self, pod: observed.Pod) -> bool:
        """Whether the pod was there when observation began."""
        return not pod.phase or pod.phase[0][0] <= self._start

    def _state(self, pod: observed.Pod, t: float, samples_until: float) -> PodState:
        changes = sum(arrival <= t for arrival, _ in pod.ready)
        if not changes and self._initial(pod):
            changes = min(1, len(pod.ready))
        phases = [phase for arrival, phase in pod.phase if arrival <= t] or [phase for _, phase in pod.phase[:1]]
        return PodState(
            name=pod.name,
            phase=phases[-1] if phases else "Pending",
            request_milli=pod.request_milli,
            deleting=pod.terminating is not None and pod.terminating <= t,
            start_time=pod.start_time,
            ready=pod.ready[changes - 1][1] if changes else None,
            ready_since=(pod.ready_stamps[changes - 1] if changes else None) or 0.0,
            sample=self._sample(pod.name, samples_until),
        )

    def _sample(self, name: str, until: float) -> Sample | None:
        samples = self._samples.get(name, [])
        arrived = bisect_right(samples, until, key=lambda sample: sample.t)
        if not arrived:
            return None
        last = samples[arrived - 1]
        return Sample(last.usage_milli, last.timestamp, last.window)
