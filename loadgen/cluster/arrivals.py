"""The API's objects in the order of their arrival, on the monotonic clock."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from loadgen.cluster import quantities

Json = Mapping[str, Any]
Resource = Literal["hpa", "deployment", "replica_set", "pod", "endpoint_slice", "event", "pod_metrics", "node_metrics"]


@dataclass(frozen=True)
class Arrival:
    """An object of the API, and when it arrived, in monotonic seconds. `gone` is true if this is its deletion."""

    t: float
    resource: Resource
    object: Json
    gone: bool = False


@dataclass(frozen=True)
class Clock:
    """The start of the run as monotonic seconds and as seconds since 1970, and the API's clock minus ours."""

    monotonic: float
    epoch: float
    skew: float = 0.0

    def arrival(self, monotonic: float) -> float:
        return round(monotonic - self.monotonic, 3)

    def stamp(self, text: str | None) -> float | None:
        """The API's time as seconds from the start of the run; None without one."""
        return None if text is None else round(quantities.epoch(text) - self.epoch - self.skew, 3)


class Arrivals:
    """Each change that arrived, in the order of time, and the last state of each object."""

    def __init__(self) -> None:
        self.recorded: list[Arrival] = []
        self._versions: dict[Resource, dict[str, str]] = {}
        self._latest: dict[tuple[Resource, str], Any] = {}

    def latest(self, resource: Resource) -> Any:
        """The object of a resource that has only one."""
        return next(item for (name, _), item in self._latest.items() if name == resource)

    def add_listing(self, resource: Resource, items: Iterable[Any]) -> None:
        """Record what is new, changed or gone in a list of all objects; but no events from before the first list."""
        listed = {item["metadata"]["name"]: item for item in items}
        first = not self._versions.get(resource)
        for name in set(self._versions.get(resource, {})) - set(listed):
            self.add_change(resource, self._latest[resource, name], gone=True)
        for item in listed.values():
            self.add_change(resource, item, recorded=not (first and resource == "event"))

    def add_change(self, resource: Resource, item: Any, gone: bool = False, recorded: bool = True) -> None:
        """Record an object that is new, changed or `gone`, unless this version of it has arrived before."""
        name, version = item["metadata"]["name"], item["metadata"]["resourceVersion"]
        versions = self._versions.setdefault(resource, {})
        if not gone and versions.get(name) == version:
            return
        if gone:
            versions.pop(name, None)
        else:
            versions[name] = version
            self._latest[resource, name] = item
        if recorded:
            item["metadata"].pop("managedFields", None)
            self._record(resource, item, gone)

    def add_sample(self, resource: Resource, item: Any) -> None:
        """Record a measurement, which has a timestamp and no version."""
        name = item["metadata"]["name"]
        if self._latest.get((resource, name), {}).get("timestamp") != item["timestamp"]:
            self._latest[resource, name] = item
            self._record(resource, item)

    def _record(self, resource: Resource, item: Any, gone: bool = False) -> None:
        self.recorded.append(Arrival(time.monotonic(), resource, item, gone))
