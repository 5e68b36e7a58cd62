"""Watches a release through the Kubernetes API, in a thread of its own, while load runs in other processes.

lightkube, which speaks to the API, is imported here only, because that takes a third of a second.
"""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from httpx2 import HTTPError
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.config.client_adapter import AsyncClient as RawClient
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource

from loadgen.cluster import reading
from loadgen.cluster.arrivals import Arrivals, Clock, Resource
from loadgen.cluster.controller import from_arguments
from loadgen.cluster.observation import Controller, Observation

POLL_SECONDS = 1.0
RETRY_SECONDS = 1.0
RELIST_SECONDS = 300  # a connection that died without a word is given up after this
START_SECONDS = 15
SKEW_PROBES = 8

WATCHED: Mapping[Resource, Any] = {
    "hpa": create_namespaced_resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    "deployment": create_namespaced_resource("apps", "v1", "Deployment", "deployments"),
    "replica_set": create_namespaced_resource("apps", "v1", "ReplicaSet", "replicasets"),
    "pod": create_namespaced_resource("", "v1", "Pod", "pods"),
    "endpoint_slice": create_namespaced_resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    "event": create_namespaced_resource("", "v1", "Event", "events"),
}
POD_METRICS = create_namespaced_resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods")
NODE_METRICS = create_global_resource("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes")
FAILURES = (HTTPError, ApiError, OSError, ValueError, KeyError)


class NotObservable(Exception):
    """The release cannot be watched. The text tells all that is missing, and the remedy; callers name the release."""


@dataclass(frozen=True)
class Current:
    """The state now, for a live view; None where it is not known yet. `utilization` and `target` are percent."""

    desired: int
    replicas: int
    ready: int
    maximum: int
    utilization: int | None
    target: int | None


class Watch:
    """The release NAMESPACE/RELEASE, from `start` until `stop`. `config` is by default what kubectl would use."""

    def __init__(self, release: str, config: SingleConfig | None = None) -> None:
        self.release = release
        self._namespace, _, self._name = release.partition("/")
        self._config = config
        self._arrivals = Arrivals()
        self._errors: list[tuple[float, str]] = []
        self._selectors: dict[Resource, dict[str, Any]] = {}
        self._skew = (float("-inf"), float("inf"))
        self._server_version: str | None = None
        self._controller = Controller()
        self._ready = threading.Event()
        self._refused: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Return when everything has been listed once. Raises NotObservable."""
        if not self._namespace or not self._name:
            raise NotObservable(f"{self.release!r} is not NAMESPACE/RELEASE")
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            self.stop()
            raise NotObservable(f"the Kubernetes API has not answered within {START_SECONDS} s")
        if self._refused:
            self._thread.join()
            raise NotObservable(self._refused)

    def stop(self) -> None:
        """End the watching; what was seen stays."""
        if self._loop and self._task and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread.is_alive():
            self._thread.join(5)

    def current(self) -> Current:
        """The state as it was last seen."""
        hpa = reading.hpa(self._arrivals.latest("hpa"), Clock(0, 0), 0)
        status = self._arrivals.latest("deployment").get("status", {})
        replicas, ready = status.get("replicas", 0), status.get("readyReplicas", 0)
        desired = replicas if hpa.desired_replicas is None else hpa.desired_replicas
        return Current(desired, replicas, ready, hpa.max, hpa.utilization, hpa.target_utilization)

    def observation(self, monotonic: float, epoch: float) -> Observation:
        """What was seen until now, on the clock of a run that began at these monotonic and epoch seconds."""
        low, high = self._skew
        known = low > float("-inf")
        clock = Clock(monotonic, epoch, (low + high) / 2 if known else 0.0)
        return reading.observation(
            list(self._arrivals.recorded),
            clock,
            self.release,
            self._server_version,
            self._controller,
            [f"{clock.arrival(t):.1f} s: {text}" for t, text in self._errors],
            round((high - low) / 2, 3) if known else None,
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass
        except NotObservable as error:
            self._refused = str(error)
        except Exception as error:  # the load goes on without the cluster; the report says so
            self._refused = _reason(error)
            self._failed(f"watching has ended: {_reason(error)}")
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        config = self._config or _configured()
        async with AsyncClient(config, namespace=self._namespace) as self._client:
            await self._select()
            versions = await self._list_everything()
            self._ready.set()
            async with asyncio.TaskGroup() as tasks:
                for resource, version in versions.items():
                    tasks.create_task(self._follow(resource, version))
                tasks.create_task(self._poll_pods())
                tasks.create_task(self._poll_nodes())
                tasks.create_task(self._measure_skew(config))
                tasks.create_task(self._read_flags())

    async def _select(self) -> None:
        """Find the release's Deployment and HPA, and from them what else belongs to it."""
        try:
            deployment: Any = await self._client.get(WATCHED["deployment"], self._name)
            autoscalers = [item async for item in self._client.list(WATCHED["hpa"])]
        except FAILURES as error:
            raise NotObservable(_reason(error)) from error
        target = {"kind": "Deployment", "name": self._name}
        names = [h["metadata"]["name"] for h in autoscalers if target.items() <= h["spec"]["scaleTargetRef"].items()]
        if not names:
            remedy = "set autoscaling.enabled, or run without observing"
            raise NotObservable(f"no HorizontalPodAutoscaler scales this Deployment; {remedy}")
        labels = {"labels": deployment["spec"]["selector"]["matchLabels"]}
        self._selectors = {
            "hpa": {"fields": {"metadata.name": names[0]}},
            "deployment": {"fields": {"metadata.name": self._name}},
            "replica_set": labels,
            "pod": labels,
            "endpoint_slice": {"labels": {"kubernetes.io/service-name": self._name}},
            "event": {},
            "pod_metrics": labels,
        }

    async def _list_everything(self) -> dict[Resource, str]:
        async def attempt(what: str, work: Coroutine[Any, Any, str]) -> str | NotObservable:
            try:
                return await work
            except FAILURES as error:
                return NotObservable(f"{what}: {_reason(error)}")

        attempts = [attempt(f"list {resource}", self._list(resource)) for resource in WATCHED]
        results = await asyncio.gather(
            *attempts, attempt("pod metrics (is metrics-server there?)", self._pod_metrics())
        )
        if mistakes := [str(result) for result in results if isinstance(result, NotObservable)]:
            role = "loadgen/README.md has the Role that it takes"
            raise NotObservable(f"{'; '.join(mistakes)}; {role}")
        return {resource: str(version) for resource, version in zip(WATCHED, results, strict=False)}

    async def _list(self, resource: Resource) -> str:
        """List what there is now; return the list's version."""
        listed = self._client.list(WATCHED[resource], **self._selectors[resource])
        self._arrivals.add_listing(resource, [item async for item in listed])
        return listed.resourceVersion

    async def _follow(self, resource: Resource, version: str | None) -> None:
        while True:
            try:
                async with asyncio.timeout(RELIST_SECONDS):
                    version = version or await self._list(resource)
                    changes = self._client.watch(
                        WATCHED[resource], resource_version=version, **self._selectors[resource]
                    )
                    async for operation, item in changes:
                        self._arrivals.add_change(resource, item, gone=operation == "DELETED")
            except TimeoutError:
                pass
            except FAILURES as error:
                self._failed(f"watch {resource}: {_reason(error)}")
                await asyncio.sleep(RETRY_SECONDS)
            version = None

    async def _poll_pods(self) -> None:
        while True:
            due = time.monotonic() + POLL_SECONDS
            try:
                await self._pod_metrics()
            except FAILURES as error:
                self._failed(f"pod metrics: {_reason(error)}")
            await asyncio.sleep(due - time.monotonic())

    async def _pod_metrics(self) -> str:
        async for item in self._client.list(POD_METRICS, **self._selectors["pod_metrics"]):
            self._arrivals.add_sample("pod_metrics", item)
        return ""

    async def _poll_nodes(self) -> None:
        """Node CPU is optional: without the permission it is not asked for again."""
        while True:
            try:
                async for item in self._client.list(NODE_METRICS):
                    self._arrivals.add_sample("node_metrics", item)
            except ApiError:
                return
            except FAILURES as error:
                self._failed(f"node metrics: {_reason(error)}")
            await asyncio.sleep(5 * POLL_SECONDS)

    async def _measure_skew(self, config: SingleConfig) -> None:
        """The API's clock minus ours, between bounds that each answer's Date (whole seconds) narrows."""
        async with RawClient(config, ConnectionParams()) as client:
            for _ in range(SKEW_PROBES):
                try:
                    sent = time.time()
                    answer = await client.get("/version")
                    received = time.time()
                    date = parsedate_to_datetime(answer.headers["date"]).timestamp()
                    self._server_version = answer.json()["gitVersion"]
                    low, high = self._skew
                    self._skew = max(low, date - received), min(high, date + 1 - sent)
                except FAILURES as error:
                    self._failed(f"version and clock: {_reason(error)}")
                await asyncio.sleep(1.13 * POLL_SECONDS)  # another part of a second each time

    async def _read_flags(self) -> None:
        """The controller manager's flags, where its pod may be read; a managed control plane does not show it."""
        labels: dict[str, Any] = {"component": "kube-controller-manager"}
        try:
            pods = [pod async for pod in self._client.list(WATCHED["pod"], namespace="kube-system", labels=labels)]
        except FAILURES:
            return
        for container in (container for pod in pods for container in pod["spec"]["containers"]):
            self._controller = from_arguments([*container.get("command", []), *container.get("args", [])])

    def _failed(self, text: str) -> None:
        if all(text != told for _, told in self._errors):  # once, however often it comes
            self._errors.append((time.monotonic(), text))


def _configured() -> SingleConfig:
    """Return what kubectl would use. Raises NotObservable."""
    remedy = "set KUBECONFIG to the one file that kubectl uses (`kubectl config view` shows what it holds)"
    try:
        config = KubeConfig.from_env().get()
    except ConfigError as error:
        raise NotObservable(f"{_reason(error)}; {remedy}") from error
    except Exception as error:  # lightkube reads a damaged file into any error
        path = os.environ.get("KUBECONFIG", "~/.kube/config")
        raise NotObservable(f"{path} is no kubeconfig ({type(error).__name__}); {remedy}") from error
    assert config is not None  # without a context, `get` raises
    return config


def _reason(error: BaseException) -> str:
    text = str(error).partition("\n")[0].partition(" for url ")[0]
    return text or type(error).__name__
