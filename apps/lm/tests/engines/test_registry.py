"""A model whose engine is not installed is refused before anything is loaded or fetched."""

import pytest

from apps.lm import hub
from apps.lm.engines import registry
from apps.lm.tests import tiny
from apps.serving.identity import LoadError


def test_a_folder_whose_engine_is_not_installed_is_refused_with_the_image_that_has_it(folder, load, monkeypatch):
    tiny.publish(folder, engine="openvino")
    monkeypatch.setattr(registry, "find_spec", lambda package: object() if package == "torch" else None)
    with pytest.raises(LoadError) as refusal:
        load(folder)
    assert str(refusal.value) == (
        f"{str(folder)!r} is for the engine 'openvino', and this image has transformers. "
        "Use the image lm-service:v1-openvino (outside of images: pip install '.[lm-openvino]'), or correct MODEL_NAME."
    )


@pytest.mark.parametrize("name", ["someone/some-model", None])
def test_an_image_without_torch_refuses_models_that_need_it_before_anything_is_fetched(folder, load, monkeypatch, name):
    monkeypatch.setattr(registry, "find_spec", lambda package: None if package == "torch" else object())
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("called the hub"))
    with pytest.raises(LoadError, match=r"this image has openvino. Use the image lm-service:v1 "):
        load(name or folder)


def test_a_folder_with_an_unknown_engine_is_refused(folder, load):
    tiny.publish(folder, engine="other")
    with pytest.raises(LoadError, match="for the engine 'other', and this service knows transformers and openvino"):
        load(folder)
