"""What the cluster did during a run, as data: one class for each kind of object that is watched.

`Observation.model_validate(document["cluster"])` reads the part `cluster` of a run's JSON document, and
`observation.model_dump(mode="json", by_alias=True)` writes it. A document that breaks a rule raises
`pydantic.ValidationError` with all mistakes.

Every time is in seconds from the start of the run, negative for what came before it. There are two sources:
- `t` and the first number of each pair: when the change arrived here, on the run's monotonic clock.
- all others (`stamp`, `timestamp`, `start_time`, ...): the API's own time, which counts whole seconds, moved to the
  run's clock by the start of the run and `skew_seconds`.
None stands where the API has said nothing (yet). CPU is in millicores (`_milli`) or nanocores (`_nano`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """The rules of all classes here: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Controller(Record):
    """The flags of kube-controller-manager that the autoscaler obeys; `assumed` are the defaults of Kubernetes."""

    sync_seconds: float = 15
    tolerance: float = 0.1
    cpu_initialization_seconds: float = 300
    initial_readiness_seconds: float = 30
    downscale_stabilization_seconds: float = 300
    source: Literal["flags", "assumed"] = "assumed"


class Policy(Record):
    """One rate limit of a behavior: at most `value` pods, or percent of the pods, in `period_seconds`."""

    type: Literal["Pods", "Percent"]
    value: int
    period_seconds: int = Field(alias="periodSeconds")


class ScalingRules(Record):
    """One direction of an HPA's `behavior`. None: the default of Kubernetes."""

    stabilization_window_seconds: int | None = Field(None, alias="stabilizationWindowSeconds")
    select_policy: Literal["Max", "Min", "Disabled"] | None = Field(None, alias="selectPolicy")
    policies: tuple[Policy, ...] | None = None
    tolerance: float | None = None


class Behavior(Record):
    """An HPA's `behavior`, with the API's names in JSON."""

    scale_up: ScalingRules | None = Field(None, alias="scaleUp")
    scale_down: ScalingRules | None = Field(None, alias="scaleDown")


class Condition(Record):
    """One condition of the HPA's status; `stamp` is its last transition."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    stamp: float | None = None


class Hpa(Record):
    """The HorizontalPodAutoscaler, from `t` until the next one.

    `stamp` is the latest time in its status, and so the earliest at which that status can have been written.
    `utilization` (percent of the request) and `average_milli` are what the status shows: the controller's first pass,
    over pods that are ready and have a sample. `desired_replicas` is None before the first decision. `other_metrics`
    names metrics beside CPU utilization.
    """

    t: float
    stamp: float | None = None
    min: int
    max: int
    target_utilization: int | None
    behavior: Behavior | None = None
    current_replicas: int | None = None
    desired_replicas: int | None = None
    utilization: int | None = None
    average_milli: int | None = None
    conditions: tuple[Condition, ...] = ()
    last_scale_time: float | None = None
    other_metrics: tuple[str, ...] = ()


class Deployment(Record):
    """The Deployment, from `t` until the next one: `desired` is its spec, the others are its status."""

    t: float
    desired: int
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0


class ReplicaSet(Record):
    """A ReplicaSet of the Deployment, from `t` until the next one of the same name."""

    t: float
    name: str
    revision: str | None = None
    desired: int = 0
    replicas: int = 0
    ready: int = 0


class Pod(Record):
    """The life of one pod. Pairs are (t, value), one for each change seen, the first when observation began.

    `version` is its label app.kubernetes.io/version. `request_milli` and `limit_milli` are sums over its containers;
    None if one has none. `start_time` is when the kubelet saw the pod, `started` when its last container to start
    started, `created` and `scheduled` are the API's times. `ready_stamps` has, for each pair of `ready`, the
    condition's last transition by the API. `endpoint` tells whether an EndpointSlice lists it as ready. `terminating`
    and `gone` are arrivals: the first object with a deletion time, and the deletion itself.
    """

    name: str
    version: str | None = None
    node: str | None = None
    request_milli: int | None = None
    limit_milli: int | None = None
    start_time: float | None = None
    created: float | None = None
    scheduled: float | None = None
    started: float | None = None
    ready: tuple[tuple[float, bool], ...] = ()
    ready_stamps: tuple[float | None, ...] = ()
    endpoint: tuple[tuple[float, bool], ...] = ()
    terminating: float | None = None
    gone: float | None = None
    restarts: tuple[tuple[float, int], ...] = ()
    phase: tuple[tuple[float, str], ...] = ()


class Sample(Record):
    """One measurement of a pod by metrics-server: the CPU used on average over `window` seconds until `timestamp`.

    `usage_milli` is what the autoscaler reads: each container's usage rounded up to a millicore, added up.
    """

    t: float
    pod: str
    timestamp: float
    window: float
    usage_nano: int
    usage_milli: int


class NodeCpu(Record):
    """What metrics-server measured of a node; only if the Role allows to read it."""

    t: float
    node: str
    timestamp: float
    window: float
    usage_nano: int


class Event(Record):
    """An event of the API, each time that it came; equal ones come again with a larger `count`."""

    t: float
    stamp: float | None = None
    type: str
    reason: str
    object: str
    message: str = ""
    count: int = 1


class Observation(Record):
    """All that was seen, each list in the order of arrival. `errors` tells, in words, what could not be seen and when.

    `release` is NAMESPACE/RELEASE; `skew_seconds` is the API's clock minus this machine's, known to within
    `skew_error_seconds` either way.
    """

    release: str
    server_version: str | None = None
    controller: Controller = Controller()
    skew_seconds: float = 0.0
    skew_error_seconds: float | None = None
    hpa: tuple[Hpa, ...] = ()
    deployment: tuple[Deployment, ...] = ()
    replica_sets: tuple[ReplicaSet, ...] = ()
    pods: tuple[Pod, ...] = ()
    samples: tuple[Sample, ...] = ()
    nodes: tuple[NodeCpu, ...] = ()
    events: tuple[Event, ...] = ()
    errors: tuple[str, ...] = ()
