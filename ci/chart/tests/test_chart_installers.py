"""Each of the README's alternatives to `helm install` renders the same objects."""

from pathlib import Path

import yaml

from ci.chart import rendering
from ci.chart.rendering import CHART, ROOT, objects

SECTION = "With Argo CD, Flux, kustomize or kubectl"
PLAIN = ("--skip-tests", "--no-hooks")


def rendered(release: str, namespace: str, values: str, *options: str) -> list[dict]:
    arguments: tuple[str | Path, ...] = (release, CHART, f"--namespace={namespace}", f"--values={values}", *options)
    return ordered(objects(rendering.succeed("helm", "template", *arguments)))


def ordered(documents: list[dict]) -> list[dict]:
    return sorted(documents, key=lambda document: (document["kind"], document["metadata"]["name"]))


def expected(*options: str) -> list[dict]:
    return rendered("classifier-service", "inference", f"{CHART}/values-classifier.yaml", *options)


def test_kubectl_applies_no_hook_and_no_test():
    documents = expected(*PLAIN)
    assert "Deployment" in {document["kind"] for document in documents}
    assert not [document for document in documents if "helm.sh/hook" in document["metadata"].get("annotations", {})]
    assert "helm template classifier-service charts/inference-service -n inference --skip-tests --no-hooks" in (
        (CHART / "README.md").read_text()
    )


def test_argo_cd_renders_a_release_with_the_applications_name():
    application = yaml.safe_load(rendering.readme_yaml(SECTION)[0])
    source, helm = application["spec"]["source"], application["spec"]["source"]["helm"]
    assert helm["releaseName"] == application["metadata"]["name"] and helm["skipTests"]
    (values,) = helm["valueFiles"]
    namespace = application["spec"]["destination"]["namespace"]
    documents = rendered(helm["releaseName"], namespace, f"{ROOT}/{source['path']}/{values}", "--skip-tests")
    assert documents == expected("--skip-tests")


def test_flux_installs_the_release_with_its_tests():
    release = yaml.safe_load(rendering.readme_yaml(SECTION)[1])
    spec, chart = release["spec"], release["spec"]["chart"]["spec"]
    assert spec["releaseName"] == release["metadata"]["name"] and spec["test"]["enable"]
    assert ROOT / chart["chart"] == CHART
    (values,) = chart["valuesFiles"]
    assert rendered(spec["releaseName"], release["metadata"]["namespace"], f"{ROOT}/{values}") == expected()


def test_kustomize_adds_a_label_and_changes_nothing_else(tmp_path):
    (tmp_path / "kustomization.yaml").write_text(rendering.readme_yaml(SECTION)[2])
    (tmp_path / "classifier-service.yaml").write_text(yaml.safe_dump_all(expected(*PLAIN)))
    documents = ordered(objects(rendering.succeed("kubectl", "kustomize", tmp_path)))
    assert {document["metadata"]["labels"].pop("team") for document in documents} == {"digits"}
    assert documents == expected(*PLAIN)


def test_openshift_chooses_the_user():
    (example,) = rendering.readme_yaml("In a service mesh, on OpenShift")
    settings = [f"--set=podSecurityContext.{key}=null" for key in yaml.safe_load(example)["podSecurityContext"]]
    documents = expected(*settings)
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["securityContext"].keys() == {
        *("runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"),
    }
