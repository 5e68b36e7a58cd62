"""The language model on OpenVINO takes time and disk space: it is made only if the values or the full tests need it."""

import pytest

from ci import environment, images, models, plan


@pytest.fixture
def values(tmp_path, monkeypatch):
    """The language model's values, for the test to edit."""
    file = tmp_path / "values-lm.yaml"
    file.write_text(models.LANGUAGE_VALUES.read_text())
    monkeypatch.setattr(models, "LANGUAGE_VALUES", file)
    return file


def names(openvino: bool = False) -> set[str]:
    return {step.name for step in plan.cluster_with_images(None, openvino)}


def test_by_default_neither_its_image_nor_its_model_is_made(values):
    assert not {name for name in names() if "openvino" in name or "smollm2-135m-instruct_v2" in name}


def test_selecting_its_version_adds_model_and_image_before_the_releases(values):
    values.write_text(values.read_text().replace("version: v1", "version: v2"))
    steps = {"prepare smollm2-135m-instruct_v2", "image lm-openvino", "load lm-openvino"}
    assert steps <= names()
    assert {"prepare smollm2-135m-instruct_v2", "load lm-openvino"} <= set(plan.installed()[0].after)


def test_the_full_tests_have_both_engines(values):
    assert {"prepare smollm2-135m-instruct_v1", "image lm", "prepare smollm2-135m-instruct_v2"} <= names(openvino=True)


def test_its_image_has_its_own_tag_which_helmfile_gets():
    tag = images.tags(images.OPENVINO)[0]
    assert images.tags(images.OPENVINO)[1] == "lm-service:v1-openvino"
    assert environment.image_tags()["LM_OPENVINO_IMAGE_TAG"] == tag.removeprefix("lm-service:")
    assert images.app_arguments(images.OPENVINO)[1::2] == ["APP=lm", "EXTRA=lm-openvino"]
