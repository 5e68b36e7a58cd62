"""Properties of every object that the chart renders, in every environment."""

import re
import tarfile

import kubernetes_validate
import pytest
import yaml

from ci.chart import rendering
from ci.chart.rendering import APPS, CHART, CUSTOM, ENVIRONMENTS, of_kind
from ci.tools import extra

MINORS = tuple(f"1.{minor}" for minor in range(30, 38))
KEDA_TRIGGER = "autoscaling.keda.triggers.queue.type=prometheus,autoscaling.keda.triggers.queue.metadata.threshold=5"
CONTROL_PLANE_MILLICORES = 200  # CPU requests of the pods in kube-system on the local cluster
NODE_MILLICORES = 2000


def test_every_unit_test_of_the_templates_passes():
    suites = sum(path.read_text().count("suite: ") for path in (CHART / "tests").glob("*_test.yaml"))
    assert f"Test Suites: {suites} passed, {suites} total" in rendering.succeed("helm", "unittest", CHART)


@pytest.mark.parametrize("app", APPS)
def test_values_of_an_app_pass_lint_and_render_without_other_files(app):
    values = f"--values={CHART}/values-{app}.yaml"
    rendering.succeed("helm", "lint", "--strict", CHART, values)
    assert of_kind(rendering.template(values), "Deployment")["r"]


@pytest.mark.parametrize("app", APPS)
def test_values_of_an_app_are_short_and_differ_from_the_defaults(app):
    text = (CHART / f"values-{app}.yaml").read_text()
    assert len(text.splitlines()) < 40
    same = _leaves(yaml.safe_load(text)).items() & _leaves(yaml.safe_load((CHART / "values.yaml").read_text())).items()
    assert not {key for key, _ in same} - {("app",)}, "only `app` may repeat the default"


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_objects_are_valid_in_every_supported_minor(environment, minor):
    for document in rendering.helmfile(environment):
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, minor, strict=True)


def test_the_charts_oldest_minor_is_tested():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={MINORS[0]}.0-0"


@pytest.mark.parametrize("minor", MINORS)
def test_objects_with_every_field_are_valid_in_every_supported_minor(minor):
    everything = CHART.parents[1] / "ci/chart/tests/everything.yaml"
    for document in rendering.template(f"--values={CHART}/values-lm.yaml", f"--values={everything}"):
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, minor, strict=True)


@pytest.mark.full
def test_objects_of_custom_kinds_have_only_fields_of_their_go_types():
    extra.build("custom-kinds")
    values = (f"--values={CHART}/values-classifier.yaml", f"--set=autoscaling.keda.enabled=true,{KEDA_TRIGGER}")
    everything = (f"--values={CHART}/values-lm.yaml", f"--values={CHART.parents[1]}/ci/chart/tests/everything.yaml")
    rendered = [*rendering.helmfile("production"), *rendering.template(*values), *rendering.template(*everything)]
    program = extra.folder("custom-kinds") / "custom-kinds"
    kinds = rendering.succeed(program, input=yaml.safe_dump_all(rendered))
    assert (
        sorted(kinds.split()) == ["HTTPRoute"] * 3 + ["PrometheusRule"] * 3 + ["ScaledObject"] + ["ServiceMonitor"] * 3
    )


def test_production_pins_every_model_and_admits_only_selected_pods():
    rendered = rendering.helmfile("production")
    for release in ("classifier-service", "lm-service"):
        environment = rendering.container(rendered, release)["env"]
        variables = {variable["name"]: variable.get("value") for variable in environment}
        assert len(variables["MODEL_SHA256"]) == 64
        callers = of_kind(rendered, "NetworkPolicy")[release]["spec"]["ingress"][0]["from"]
        assert len(callers) == 3 and all(caller.get("podSelector") for caller in callers)
    assert len(of_kind(rendered, "HTTPRoute")) == 2 and not of_kind(rendered, "Ingress")


def test_the_language_models_memory_request_covers_its_measured_peak():
    service = rendering.container(rendering.template(f"--values={CHART}/values-lm.yaml"), "r")
    assert service["resources"]["requests"]["memory"] == "1536Mi", "1,521 MiB at most, with a limit of 2 GiB"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_has_a_namespace_and_its_releases_name(environment):
    for document in rendering.helmfile(environment):
        metadata = document["metadata"]
        release = metadata["labels"]["app.kubernetes.io/instance"]
        assert metadata["namespace"] == ("inference-test" if environment == "test" else "inference")
        own, prefixes = (release, f"{release}.test"), (f"{release}-preflight", f"{release}-test-")
        assert metadata["name"] in own or metadata["name"].startswith(prefixes)


def test_releases_called_a_and_a_test_share_no_object():
    values = f"--values={CHART}/values-classifier.yaml"
    names = [
        (document["kind"], document["metadata"]["name"])
        for release in ("a", "a-test", "a-test-test", "a-test-health")
        for document in rendering.template(values, release=release)
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_selectors_match_only_serving_pods_of_their_own_release(environment):
    rendered = rendering.helmfile(environment)
    serving = {name: d["spec"]["template"]["metadata"]["labels"] for name, d in of_kind(rendered, "Deployment").items()}
    hooks = {name: d["metadata"]["labels"] for name, d in of_kind(rendered, "Pod").items()}
    assert len(serving) == 2 and len(hooks) == (10 if environment == "production" else 8)  # models from images
    for release in serving:
        for selector in _selectors(rendered, release):
            assert [name for name, labels in (serving | hooks).items() if selector.items() <= labels.items()] == [
                release
            ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_empty_value_is_rendered(environment):
    for document in rendering.helmfile(environment):
        for path, value in _leaves(document).items():
            is_allowed = path[-1] == "podSelector"  # an empty selector of a NetworkPolicy is every pod
            assert is_allowed or value not in ({}, [], None, ""), f"{document['kind']}: {'.'.join(map(str, path))}"


def test_a_switch_of_the_model_changes_only_the_deployment_and_hook_pods():
    values = f"--values={CHART}/values-classifier.yaml"
    before, after = (rendering.template(values, f"--set=model.version={version}") for version in ("v1", "v2"))
    changed = [(new["kind"], new["metadata"]["name"]) for old, new in zip(before, after, strict=True) if old != new]
    hooks = ("preflight", "test-identity", "test-prediction")
    assert changed == [("Deployment", "r"), *(("Pod", f"r-{hook}") for hook in hooks)]


def test_both_namespaces_at_their_maximum_fit_two_cores():
    requested = sum(_millicores(rendering.helmfile(name)) for name in ("local", "test"))
    assert requested + CONTROL_PLANE_MILLICORES <= NODE_MILLICORES


def test_the_services_read_every_variable_that_the_chart_sets():
    sources = rendering.ROOT.glob("apps/*/settings.py")
    read = {name.upper() for path in sources for name in re.findall(r"^    (\w+): .*Field\(", path.read_text(), re.M)}
    everything = "maxInFlight=1,maxQueue=1,maxBodyBytes=1,maxTotalBodyBytes=1,artificialCpuSec=1"
    everything += ",corsOrigins={*},allowedHosts={a}"
    for app in APPS:
        values = f"--values={CHART}/values-{app}.yaml"
        service = rendering.container(rendering.template(values, f"--set={everything}", release="r"), "r")
        assert {variable["name"] for variable in service["env"]} <= read


def test_the_services_export_every_metric_of_alerts_and_dashboard():
    exported = "".join(path.read_text() for path in (rendering.ROOT / "apps").rglob("metrics.py"))
    rendered = rendering.helmfile("production")
    text = "".join(str(of_kind(rendered, kind)) for kind in ("PrometheusRule", "ConfigMap"))
    part = re.compile(r"^inference_cpu_cfs_|_(bucket|total|info)$")
    metrics = {part.sub("", name) for name in re.findall(r"(?:inference_|vllm:)\w+", text)}
    assert len(metrics) > 7 and {name for name in metrics if f'"{name}"' not in exported} == set()


def test_every_alert_has_a_runbook_with_three_commands_or_a_reference_to_one():
    alerts = {alert for app in APPS for alert in _alerts(app)}
    readme = (CHART / "README.md").read_text()
    runbooks = dict(re.findall(r"^### (Inference\w+)\n(.+?)(?=^##)", readme, re.M | re.S))
    assert set(runbooks) == alerts
    for alert, text in runbooks.items():
        commands = re.findall(r"^(?:kubectl|helm) .+$", text, re.M)
        assert len(commands) == 3 or "The commands\nare those of" in text or "The commands are those of" in text, alert


def _alerts(app: str) -> list[str]:
    rendered = rendering.template(f"--values={CHART}/values-{app}.yaml", "--set=prometheusRule.enabled=true")
    (group,) = of_kind(rendered, "PrometheusRule")["r"]["spec"]["groups"]
    return [rule["alert"] for rule in group["rules"]]


def test_a_packaged_chart_holds_no_tests_and_no_environments(tmp_path):
    rendering.succeed("helm", "package", CHART, "--destination", tmp_path)
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        folders = {name.split("/")[1] for name in package.getnames()}
    assert folders == {
        *("Chart.yaml", "values.yaml", "values.schema.json", "values-classifier.yaml", "values-lm.yaml"),
        *("README.md", "templates", "dashboards", ".helmignore"),
    }


def _selectors(rendered: list[dict], release: str) -> list[dict]:
    deployment = of_kind(rendered, "Deployment")[release]["spec"]
    return [
        of_kind(rendered, "Service")[release]["spec"]["selector"],
        deployment["selector"]["matchLabels"],
        deployment["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        of_kind(rendered, "PodDisruptionBudget")[release]["spec"]["selector"]["matchLabels"],
        of_kind(rendered, "NetworkPolicy")[release]["spec"]["podSelector"]["matchLabels"],
    ]


def _millicores(rendered: list[dict]) -> int:
    """CPU requests with every HPA at its maximum, one surge pod, and a test pod."""
    pods = {}
    for name, scaler in of_kind(rendered, "HorizontalPodAutoscaler").items():
        request = rendering.container(rendered, name)["resources"]["requests"]["cpu"]
        pods[name] = (int(request.removesuffix("m")), scaler["spec"]["maxReplicas"])
    surge = max(request for request, _ in pods.values())
    return sum(request * count for request, count in pods.values()) + surge + 10


def _leaves(node: object, path: tuple = ()) -> dict[tuple, object]:
    if isinstance(node, dict) and node:
        return {key: value for name, child in node.items() for key, value in _leaves(child, (*path, name)).items()}
    if isinstance(node, list) and node:
        return {key: value for i, child in enumerate(node) for key, value in _leaves(child, (*path, i)).items()}
    return {path: node}
