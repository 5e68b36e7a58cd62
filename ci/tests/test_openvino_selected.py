"""The language model on OpenVINO takes time and disk space: it is made only if the values or the full tests need it."""

from ci import environment, images, models, plan


def names(openvino: bool) -> set[str]:
    return {step.name for step in plan.cluster_with_images(None, openvino)}


def test_the_values_select_it_by_its_version(tmp_path):
    assert not models.openvino_selected()
    values = tmp_path / "values-lm.yaml"
    values.write_text(models.LANGUAGE_VALUES.read_text().replace("version: v1", "version: v2"))
    assert models.openvino_selected(values)


def test_unless_it_is_selected_neither_its_image_nor_its_model_is_made():
    assert not {name for name in names(openvino=False) if "openvino" in name or "smollm2-135m-instruct_v2" in name}


def test_its_model_and_image_are_made_before_the_releases():
    steps = {"prepare smollm2-135m-instruct_v2", "image lm-openvino", "load lm-openvino"}
    assert steps <= names(openvino=True)
    assert {"prepare smollm2-135m-instruct_v2", "load lm-openvino"} <= set(plan.installed(openvino=True)[0].after)


def test_with_it_both_engines_are_made():
    assert {"prepare smollm2-135m-instruct_v1", "image lm", "prepare smollm2-135m-instruct_v2"} <= names(openvino=True)


def test_its_image_has_its_own_tag_which_helmfile_gets():
    tag = images.tags(images.OPENVINO)[0]
    assert images.tags(images.OPENVINO)[1] == "lm-service:v1-openvino"
    assert environment.image_tags()["LM_OPENVINO_IMAGE_TAG"] == tag.removeprefix("lm-service:")
    assert images.app_arguments(images.OPENVINO)[1::2] == ["APP=lm", "EXTRA=lm-openvino"]
