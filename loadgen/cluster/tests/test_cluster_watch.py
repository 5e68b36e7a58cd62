"""Watching a small API: what is seen, what survives its faults, and what is told when there is nothing to see."""

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from lightkube import KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, User

from loadgen.cluster import watch as module
from loadgen.cluster.observation import Observation
from loadgen.cluster.tests.api import LABELS, Api, serving
from loadgen.cluster.watch import NotObservable, Watch

RELEASE = "inference/classifier-service"
NOW = "2026-11-26T08:00:00Z"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
TARGET = {"kind": "Deployment", "name": "classifier-service"}


def put_hpa(
    api: Api, desired: int = 1, utilization: int = 5, conditions: Sequence[object] = (), **spec: object
) -> None:
    current = {"averageUtilization": utilization, "averageValue": f"{utilization}m"}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    status = {"currentReplicas": 1, "desiredReplicas": desired, "currentMetrics": metrics, "conditions": conditions}
    fields = {"scaleTargetRef": TARGET, "minReplicas": 1, "maxReplicas": 5, "metrics": [CPU], **spec}
    api.put("horizontalpodautoscalers", "classifier-service", spec=fields, status=status)


def put_pod(api: Api, name: str, ready: bool | None = None, **metadata: object) -> None:
    conditions = [] if ready is None else [{"type": "Ready", "status": str(ready), "lastTransitionTime": NOW}]
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "0.5"}}
    spec = {"nodeName": "node", "containers": [{"name": "classifier", "resources": resources}]}
    status = {"phase": "Running" if ready is not None else "Pending", "startTime": NOW, "conditions": conditions}
    api.put("pods", name, metadata={"creationTimestamp": NOW, **metadata}, spec=spec, status=status)


def put_endpoints(api: Api, *pods: str) -> None:
    endpoints = [{"targetRef": {"kind": "Pod", "name": pod}, "conditions": {"ready": True}} for pod in pods]
    api.put("endpointslices", "classifier-service-x", endpoints=endpoints)


def put_sample(api: Api, pod: str, timestamp: str, usage: str) -> None:
    containers = [{"name": "classifier", "usage": {"cpu": usage}}]
    api.put("metrics pods", pod, timestamp=timestamp, window="15.462s", containers=containers)


def config(url: str) -> SingleConfig:
    result = KubeConfig.from_one(cluster=Cluster(server=url), user=User(token="t")).get()
    assert result
    return result


@pytest.fixture
def api() -> Api:
    result = Api()
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}}
    result.put("deployments", "classifier-service", spec=spec, status={"replicas": 1, "readyReplicas": 1})
    result.put("replicasets", "classifier-service-1", spec={"replicas": 1}, status={"replicas": 1})
    put_hpa(result)
    put_pod(result, "a", True)
    put_endpoints(result, "a")
    put_sample(result, "a", "2026-11-26T07:59:50Z", "4800000n")
    old = {"involvedObject": {"kind": "Pod", "name": "a"}, "reason": "Started"}
    result.put("events", "old", **old)
    return result


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    with serving(api) as address:
        yield address


@pytest.fixture
def watch(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    result = Watch(RELEASE, config(url))
    result.start()
    yield result
    result.stop()


def eventually(watch: Watch, condition: Callable[[Observation], object]) -> Observation:
    """What was observed as soon as the condition holds; it has 10 s."""
    deadline = time.monotonic() + 10
    while True:
        observation = watch.observation(0, 0)
        if condition(observation):
            return observation
        assert time.monotonic() < deadline, observation
        time.sleep(0.01)


def refused(url: str, release: str = RELEASE) -> str:
    with pytest.raises(NotObservable) as error:
        Watch(release, config(url)).start()
    return str(error.value)


def test_what_is_there_at_the_start(watch: Watch):
    observation = eventually(watch, lambda o: o.samples and o.server_version)
    assert [(hpa.max, hpa.target_utilization, hpa.utilization) for hpa in observation.hpa] == [(5, 70, 5)]
    assert [(pod.name, pod.request_milli, pod.limit_milli) for pod in observation.pods] == [("a", 100, 500)]
    assert [listed for _, listed in observation.pods[0].endpoint] == [True]
    assert [(sample.usage_nano, sample.usage_milli) for sample in observation.samples] == [(4_800_000, 5)]
    assert [sample.window for sample in observation.samples] == [15.462]
    assert [(replica_set.name, replica_set.replicas) for replica_set in observation.replica_sets] == [
        ("classifier-service-1", 1)
    ]
    assert observation.events == ()  # what came before is not of this run
    assert observation.server_version == "v1.35.4"
    assert watch.current() == module.Current(1, 1, 1, 5, 5, 70)


def test_a_new_autoscaler_that_could_not_decide_yet_has_no_number(api: Api, watch: Watch):
    put_hpa(api, desired=0, utilization=0)
    observation = eventually(watch, lambda o: len(o.hpa) == 2)
    assert [hpa.desired_replicas for hpa in observation.hpa] == [1, None]
    assert watch.current().desired == 1  # what there is


def test_zero_replicas_by_decision_are_zero(api: Api, watch: Watch):
    put_hpa(api, desired=0, conditions=[{"type": "ScalingActive", "status": "True"}])
    observation = eventually(watch, lambda o: len(o.hpa) == 2)
    assert observation.hpa[1].desired_replicas == 0 == watch.current().desired


def test_a_scale_up_from_decision_to_endpoint(api: Api, watch: Watch):
    put_hpa(api, desired=2, utilization=250)
    put_pod(api, "b")
    put_pod(api, "b", False)
    put_pod(api, "b", True)
    eventually(watch, lambda o: len(o.pods) == 2 and len(o.pods[1].ready) == 2)
    put_endpoints(api, "a", "b")  # pods and endpoints come by watches of their own, in any order
    rescale = {"involvedObject": {"kind": "HorizontalPodAutoscaler", "name": "classifier-service"}}
    api.put("events", "rescale", reason="SuccessfulRescale", message="New size: 2", count=1, **rescale)
    api.put("events", "rescale", reason="SuccessfulRescale", message="New size: 2", count=2, **rescale)
    api.put("events", "foreign", reason="Killing", involvedObject={"kind": "Pod", "name": "other"})
    put_sample(api, "b", "2026-11-26T08:00:10Z", "200m")
    observation = eventually(
        watch,
        lambda o: len(o.hpa) == len(o.samples) == len(o.events) == len(o.pods[1].endpoint) == 2,
    )
    assert [(hpa.desired_replicas, hpa.utilization) for hpa in observation.hpa] == [(1, 5), (2, 250)]
    pod = observation.pods[1]
    assert [phase for _, phase in pod.phase] == ["Pending", "Running"]
    assert [ready for _, ready in pod.ready] == [False, True]
    assert pod.ready_stamps == (pod.start_time, pod.start_time)
    assert [listed for _, listed in pod.endpoint] == [False, True]
    assert [(event.reason, event.count) for event in observation.events] == [("SuccessfulRescale", n) for n in (1, 2)]
    arrivals = [hpa.t for hpa in observation.hpa]
    assert arrivals == sorted(arrivals)


def test_a_pod_that_ends(api: Api, watch: Watch):
    put_pod(api, "a", True, deletionTimestamp=NOW)
    put_pod(api, "a", False, deletionTimestamp=NOW)
    api.delete("pods", "a")
    pod = eventually(watch, lambda o: o.pods[0].gone).pods[0]
    assert pod.terminating and pod.gone
    assert pod.terminating <= pod.ready[-1][0] <= pod.gone


def test_ended_watches_go_on_where_they_were(api: Api, watch: Watch):
    api.end_watches()
    put_hpa(api, desired=3)
    observation = eventually(watch, lambda o: o.hpa[-1].desired_replicas == 3)
    assert observation.errors == ()


def test_after_an_error_everything_is_listed_again_and_told(api: Api, watch: Watch):
    put_pod(api, "b", True)
    eventually(watch, lambda o: len(o.pods) == 2)
    with api.changed:
        api.refusals["pods"] = 500
        api.end_watches()
    eventually(watch, lambda o: any("watch pod" in error for error in o.errors))
    api.delete("pods", "a")
    api.oldest_version = len(api.changes)
    del api.refusals["pods"]
    observation = eventually(watch, lambda o: o.pods[0].gone)
    assert [pod.gone is None for pod in observation.pods] == [False, True]
    put_pod(api, "c", True)
    eventually(watch, lambda o: len(o.pods) == 3)


def test_a_version_that_is_too_old_is_listed_anew(api: Api, watch: Watch):
    with api.changed:
        put_hpa(api, desired=4)
        api.oldest_version = len(api.changes)
        api.end_watches()
    eventually(watch, lambda o: o.hpa[-1].desired_replicas == 4)


@pytest.mark.slow
def test_missing_metrics_are_told_once_and_asked_for_again(api: Api, watch: Watch):
    api.refusals["metrics pods"] = 503
    eventually(watch, lambda o: any("pod metrics" in error for error in o.errors))
    del api.refusals["metrics pods"]
    put_sample(api, "a", "2026-11-26T08:00:30Z", "7m")
    observation = eventually(watch, lambda o: o.samples[-1].usage_milli == 7)
    assert len([error for error in observation.errors if "pod metrics" in error]) == 1


def test_the_skew_of_the_clocks(api: Api, url: str):
    api.clock_ahead = 100
    ahead = Watch(RELEASE, config(url))
    ahead.start()
    observation = eventually(ahead, lambda o: o.skew_error_seconds is not None)
    ahead.stop()
    assert observation.skew_error_seconds
    assert abs(observation.skew_seconds - 100) <= observation.skew_error_seconds + 0.01
    assert observation.skew_error_seconds < 2  # half of the Date's second, and the time that the answer took


def test_flags_of_the_controller_are_read_or_assumed(api: Api, url: str):
    assert Watch(RELEASE).observation(0, 0).controller.source == "assumed"
    command = ["kube-controller-manager", "--horizontal-pod-autoscaler-sync-period=5s"]
    command += ["--horizontal-pod-autoscaler-tolerance", "0.2", "--leader-elect"]
    api.put("system pods", "kube-controller-manager-node", spec={"containers": [{"command": command}]})
    watching = Watch(RELEASE, config(url))
    watching.start()
    controller = eventually(watching, lambda o: o.controller.source == "flags").controller
    watching.stop()
    assert (controller.sync_seconds, controller.tolerance, controller.downscale_stabilization_seconds) == (5, 0.2, 300)


def test_all_that_is_forbidden_is_told_at_once(api: Api, url: str):
    api.refusals = {"pods": 403, "events": 403, "metrics pods": 403}
    text = refused(url)
    for part in ("list pod:", "list event:", "pod metrics", "events is forbidden", "has the Role"):
        assert part in text


def test_without_an_autoscaler_there_is_nothing_to_observe(api: Api, url: str):
    api.delete("horizontalpodautoscalers", "classifier-service")
    remedy = "set autoscaling.enabled, or run without observing"
    assert refused(url) == f"no HorizontalPodAutoscaler scales this Deployment; {remedy}"


def test_a_release_that_is_not_there(url: str):
    assert '"other" not found' in refused(url, "inference/other")
    assert refused(url, "classifier-service") == "'classifier-service' is not NAMESPACE/RELEASE"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "Configuration file {path} not found"),
        ("", "{path} is no kubeconfig (AttributeError)"),
        ("current-context: [", "{path} is no kubeconfig (ParserError)"),
        ("clusters: []\ncontexts: []\nusers: []", "No current context set and no default provided"),
    ],
)
def test_without_a_kubeconfig_the_remedy_is_told(tmp_path, monkeypatch, content, reason):
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NotObservable) as error:
        Watch(RELEASE).start()
    remedy = "set KUBECONFIG to the one file that kubectl uses (`kubectl config view` shows what it holds)"
    assert str(error.value) == f"{reason.format(path=path)}; {remedy}"


def test_an_api_that_does_not_answer():
    assert "All connection attempts failed" in refused("http://127.0.0.1:9")
