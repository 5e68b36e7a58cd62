"""An image of another engine takes time and disk space: it is made only if a model in the values, or a full test,
needs it."""

import json
import shutil
from pathlib import Path

import pytest

from ci import environment, images, models, plan
from ci.cache import CHECKOUT

CHART = "charts/inference-service"


def names(*variants: str) -> set[str]:
    return {step.name for step in plan.cluster_with_images(None, variants)}


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with the values of the demonstration, and no models."""
    (tmp_path / CHART).mkdir(parents=True)
    for values in (CHECKOUT / CHART).glob("values-*.yaml"):
        shutil.copy(values, tmp_path / CHART)
    (tmp_path / "models").mkdir()
    return tmp_path


def test_the_demonstration_needs_none(checkout):
    assert models.selected_variants() == models.selected_variants(checkout) == []


def test_the_values_select_openvino_by_the_version_before_its_model_is_made(checkout):
    values = checkout / CHART / "values-lm.yaml"
    values.write_text(values.read_text().replace("version: v1", "version: v2"))
    assert models.selected_variants(checkout) == [images.OPENVINO]


def test_the_values_of_a_third_model_select_onnx_by_its_manifest(checkout):
    (checkout / CHART / "values-houses.yaml").write_text("app: classifier\nmodel:\n  name: houses\n  version: v1\n")
    manifest = checkout / "models/houses_v1.json"
    for engine, variants in (("sklearn-forest", []), ("onnx", [images.ONNX])):
        manifest.write_text(json.dumps({"engine": engine}))
        assert models.selected_variants(checkout) == variants


def test_unless_one_is_selected_neither_its_image_nor_its_model_is_made():
    assert not {name for name in names() if "openvino" in name or "onnx" in name or "instruct_v2" in name}


def test_its_image_and_our_model_for_it_are_made_before_the_releases():
    steps = {"prepare smollm2-135m-instruct_v2", "image lm-openvino", "load lm-openvino"}
    assert steps <= names(images.OPENVINO)
    assert {"prepare smollm2-135m-instruct_v2", "load lm-openvino"} <= set(plan.installed([images.OPENVINO])[0].after)
    assert names(images.ONNX) - names() == {"image classifier-onnx", "load classifier-onnx"}
    assert "load classifier-onnx" in plan.installed([images.ONNX])[0].after


def test_with_it_both_engines_are_made():
    models_and_images = {"prepare smollm2-135m-instruct_v1", "image lm", "prepare smollm2-135m-instruct_v2"}
    assert models_and_images <= names(images.OPENVINO)


@pytest.mark.parametrize(
    ("image", "latest", "variable"),
    [
        (images.OPENVINO, "lm-service:v1-openvino", "LM_OPENVINO_IMAGE_TAG"),
        (images.ONNX, "classifier-service:v1-onnx", "CLASSIFIER_ONNX_IMAGE_TAG"),
    ],
)
def test_its_image_has_its_own_tag_which_helmfile_gets(image, latest, variable):
    tag = images.tags(image)[0]
    assert images.tags(image)[1] == latest
    assert environment.image_tags()[variable] == tag.partition(":")[2]
    assert images.app_arguments(image)[1::2] == [f"APP={image.partition('-')[0]}", f"EXTRA={image}"]
