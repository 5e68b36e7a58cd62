"""The schema refuses invalid values and accepts valid ones; Helm reports them; each value is set in a test."""

import json

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ci.chart import reference, rendering
from ci.chart.rendering import CHART
from ci.cluster import layout

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
OPEN = {  # Kubernetes' own shapes, and maps whose keys the user chooses
    *("imagePullSecrets", "env", "envFrom", "volumes", "podAnnotations", "podLabels", "podSecurityContext"),
    *("securityContext", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "resourceClaims"),
    *("commonLabels", "deploymentAnnotations", "initContainers", "extraContainers", "dnsConfig", "fallback"),
    *("parentRefs", "timeouts", "annotations", "labels", "hosts", "metrics", "triggers", "from", "egress"),
    *("requests", "limits", "global"),
}
REFUSED: dict[str, list[object]] = {
    "app": ["web", "", None],
    "model.name": ["../other", "a/b", 7],
    "model.version": ["2", "v1_2", "v1.", "v" + "1" * 63, 1],
    "model.sha256": ["0" * 63, "0" * 65, "G" * 64, "sha256:" + "0" * 64],
    "model.path": ["//models", "a//b", "a b"],
    "model.hostPath.path": ["models"],
    "model.persistentVolumeClaim.claimName": ["Models", "-x"],
    "model.persistentVolumeClaim.accessMode": ["RWO"],
    "model.image.reference": ["registry.example.com/models/x"],
    "model.image.sizeLimit": ["2 GB", 2],
    "model.hub.id": ["a/b/c", "..", "../..", "a/..", "/a"],
    "model.hub.revision": ["main", "0" * 39],
    "model.hub.accessMode": ["ReadOnlyMany"],
    "model.hub.tokenSecret.key": [""],
    "image.tag": ["", "a b", 1],
    "image.digest": ["0" * 64],
    "image.pullPolicy": ["never"],
    "imagePullSecrets": [["registry"], [{}], [{"name": "r", "namespace": "n"}]],
    "replicas": [-1, 1.5, "2"],
    "resources.requests.cpu": ["100 m", "fast", ".", "1.5.2", "-1", -1],
    "resources.limits.memory": ["64ki", "64KI", "1gi", "1e", "1e3Ki"],
    "resources.request": [{"cpu": "1"}],
    "autoscaling.minReplicas": [-1, "1"],
    "autoscaling.maxReplicas": [0],
    "autoscaling.targetCPUUtilizationPercentage": [0, "70%"],
    "autoscaling.metrics": [[], {"queue": {"pods": {}}}],
    "autoscaling.behavior.scaleDown.stabilizationWindowSeconds": [-1, 3601],
    "autoscaling.behavior.scaleUp.policies": [
        [{"type": "Pods", "value": 1}],
        [{"type": "X", "value": 1, "periodSeconds": 1}],
    ],
    "autoscaling.keda.saturation.target": [0, "0.7", 101],
    "autoscaling.keda.operatorNamespace": ["", "a.b", 1],
    "artificialCpuSec": [-0.1, 61, "-0.1", "1e-1", ""],
    "maxTotalTokens": [1, "256"],
    "logLevel": ["INFO", "trace"],
    "requestTimeoutSeconds": [0],
    "maxQueue": [-1],
    "maxTotalBodyBytes": [0, "64Mi"],
    "keepAliveSeconds": [0, "75s"],
    "connectionMaxAgeSeconds": [-1, "1m"],
    "corsOrigins": [
        "*",
        ["a.example.com"],
        ["https://a.example.com/"],
        ["https://a,https://b"],
        ["https://*.example.com"],
    ],
    "allowedHosts": ["a.example.com", ["*"], ["https://a.example.com"], ["a:80"], ["a,b"], ["a.*"], [""]],
    "drainSeconds": [-1, "5s"],
    "terminationGracePeriodSeconds": [0],
    "progressDeadlineSeconds": [0],
    "strategy.maxSurge": ["1", -1],
    "livenessProbe.timeoutSeconds": [0],
    "livenessProbe.successThreshold": [2],
    "startupProbe.successThreshold": [2],
    "livenessProbe.httpGet": [{"path": "/"}],
    "service.type": ["ExternalName", "nodeport"],
    "service.port": [0, 65536, "8000"],
    "service.annotations": [{"a": 1}],
    "ingress.hosts": [["a.example.com"], {"a": {"path": "x"}}, {"a": {"tls": "yes"}}],
    "httpRoute.parentRefs": [[], {"public": {"namespaces": "x"}}],
    "networkPolicy.from": [[], {"x": {"cidr": "10.0.0.0/8"}}, {"x": {"ipBlock": {}}}],
    "podDisruptionBudget.maxUnavailable": ["1", -1],
    "serviceMonitor.interval": ["15", 15],
    "prometheusRule.errorRatio": [0, 1.1],
    "prometheusRule.timeToFirstTokenSeconds": [0],
    "prometheusRule.interTokenSeconds": ["0.5s"],
    "prometheusRule.alertLabels": [{"a": 1}],
    "prometheusRule.runbookUrl": ["README.md", "https://example.com/a#b"],
    "env": [["A=1"], {"A": 1}, {"A": {"value": "1"}}, {"1A": "x"}, {"A": {"valueFrom": {}, "value": "x"}}],
    "volumes": [
        {"x": {"emptyDir": {}}},
        {"x": {"mountPath": "/x"}},
        {"x": {"mountPath": "x", "emptyDir": {}}},
    ],
    "tmpSizeLimit": ["lots", "64ki"],
    "topologySpreadConstraints": [
        {"zone": {"maxSkew": 1}},
        {"zone": {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "topologyKey": "rack"}},
    ],
    "resources.claims": [[{}]],
    "preflight.enabled": ["yes", None],
    "preflight.timeoutSeconds": [0, "2m"],
    "tests.timeoutSeconds": [0],
}
CASES = [(key, value) for key, values in REFUSED.items() for value in values]


@pytest.mark.parametrize(("key", "value"), CASES, ids=[f"{key}={json.dumps(value)[:40]}" for key, value in CASES])
def test_schema_refuses(key, value):
    with pytest.raises(jsonschema.ValidationError) as refused:
        VALIDATOR.validate(_with(DEFAULTS, key, value))
    assert key.startswith(".".join(part for part in refused.value.absolute_path if isinstance(part, str))[: len(key)])


def test_schema_accepts_the_defaults():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    VALIDATOR.validate(DEFAULTS)


@pytest.mark.parametrize("quantity", ["1Ki", "1e3", "1E-3", "1E", "1Ei", "100n", "5u", "1.5", ".5Gi", "5.", "250m"])
def test_schema_accepts_quantities_in_the_grammar_of_the_api(quantity):
    resources = {"requests": {"cpu": quantity, "memory": quantity}, "limits": {"cpu": 1.5}}
    model = DEFAULTS["model"] | {"image": DEFAULTS["model"]["image"] | {"sizeLimit": quantity}}
    VALIDATOR.validate(DEFAULTS | {"resources": resources, "model": model, "tmpSizeLimit": quantity})


def test_helm_validates_by_the_schema_and_names_the_value():
    values = f"--values={CHART}/values-classifier.yaml"
    done = rendering.run("helm", "template", "r", CHART, values, "--set=model.versoin=v2,autoscaling.maxReplicas=0")
    assert done.returncode != 0
    assert "versoin" in done.stderr and "/autoscaling/maxReplicas" in done.stderr.replace(".", "/")


def test_a_fraction_can_be_set_on_the_command_line_where_helm_passes_it_as_text():
    values = (f"--values={CHART}/values-classifier.yaml", "--set=artificialCpuSec=0.1,drainSeconds=4.5")
    service = rendering.container(rendering.template(*values), "r")
    assert {"name": "ARTIFICIAL_CPU_SEC", "value": "0.1"} in service["env"]
    assert {"name": "DRAIN_SECONDS", "value": "4.5"} in service["env"]


def test_a_section_or_value_set_to_null_is_a_missing_property_or_renders():
    """Helm removes a default that is set to null, before the schema and the templates see the values."""
    for path in _branches(DEFAULTS):
        removed = _without(DEFAULTS, path)
        if [error.message for error in VALIDATOR.iter_errors(removed)] == [f"{path[-1]!r} is a required property"]:
            continue
        values = (f"--values={CHART}/values-classifier.yaml", f"--set={'.'.join(path)}=null")
        done = rendering.run("helm", "template", "r", CHART, *values)
        assert done.returncode == 0 or "mistake(s)" in done.stderr, f"{path}: {done.stderr}"
        for document in rendering.objects(done.stdout):
            kubernetes_validate.validate(document, "1.35", strict=True)


def test_a_section_set_to_null_is_reported_in_one_line():
    values = f"--values={CHART}/values-classifier.yaml"
    done = rendering.run("helm", "template", "r", CHART, values, "--set=autoscaling.keda=null")
    assert done.stderr.strip().splitlines()[1:] == [
        "inference-service:",
        "- at '/autoscaling': missing property 'keda'",
    ]


def test_unknown_keys_are_refused_at_every_level():
    levels = list(_levels(DEFAULTS))
    assert len(levels) > 20
    for path in levels:
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(_with(DEFAULTS, ".".join((*path, "unknown")), 1))


def test_schema_accepts_origins_and_hosts_of_every_form():
    origins = ["*", "https://a.example.com", "http://localhost:3000", "http://[::1]:8080", "chrome-extension://abc"]
    hosts = ["a", "A.example.com", "*.example.com", "127.0.0.1", "xn--bcher-kva.example"]
    VALIDATOR.validate(DEFAULTS | {"corsOrigins": origins, "allowedHosts": hosts})


def test_network_policy_says_that_the_local_cluster_does_not_enforce_it():
    network = json.loads((layout.MANIFESTS / "bridge.conflist").read_text())
    assert {plugin["type"] for plugin in network["plugins"]} == {"bridge", "portmap"}, "neither enforces policies"
    (sentence,) = (
        value.sentence
        for value in reference.values((CHART / "values.yaml").read_text())
        if value.path == ("networkPolicy", "enabled")
    )
    assert "on the local cluster of `ci/up` they are not enforced" in sentence


def test_schema_has_no_references_to_other_documents():
    references = [node["$ref"] for node in _nodes(SCHEMA) if "$ref" in node]
    assert references and all(reference.startswith("#/") for reference in references)


def test_every_value_is_set_in_some_unit_test_of_the_templates():
    suites = [suite for path in (CHART / "tests").glob("*_test.yaml") for suite in yaml.safe_load_all(path.read_text())]
    paths = {path for suite in suites for case in (suite, *suite["tests"]) for path in _paths(case.get("set", {}))}
    documented = {".".join(value.path) for value in reference.values((CHART / "values.yaml").read_text())}
    assert {key for key in documented if not any(f"{path}.".startswith(f"{key}.") for path in paths)} == set()


def _with(tree: dict, dotted: str, value: object) -> dict:
    key, _, rest = dotted.partition(".")
    return tree | {key: _with(tree.get(key) or {}, rest, value) if rest else value}


def _without(tree: dict, path: tuple[str, ...]) -> dict:
    key, *rest = path
    remaining = {name: child for name, child in tree.items() if name != key}
    return remaining | {key: _without(tree[key], tuple(rest))} if rest else remaining


def _levels(tree: dict, path: tuple[str, ...] = ()):
    if path and path[-1] in OPEN:
        return
    yield path
    for key, child in tree.items():
        if isinstance(child, dict):
            yield from _levels(child, (*path, key))


def _branches(tree: dict, path: tuple[str, ...] = ()):
    """Paths of sections and values, down to what values.yaml documents."""
    documented = {value.path for value in reference.values((CHART / "values.yaml").read_text())}
    for key, child in tree.items():
        if child is not None:
            yield (*path, key)
        if isinstance(child, dict) and (*path, key) not in documented:
            yield from _branches(child, (*path, key))


def _paths(tree: object, path: str = ""):
    yield path
    for key, child in tree.items() if isinstance(tree, dict) else ():
        yield from _paths(child, f"{path}.{key}".lstrip("."))


def _nodes(node: object):
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(child)
