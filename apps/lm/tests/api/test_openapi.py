"""No answer contradicts the OpenAPI document."""

import pytest

from apps.lm.tests import process, tiny
from apps.serving.tests import openapi

pytestmark = [pytest.mark.service, pytest.mark.full]


def test_no_request_gets_a_5xx_or_an_undocumented_answer(tmp_path):
    folder = tiny.publish(tiny.save("gpt2", tmp_path / "tiny-gpt2_v1"))
    with process.serving(model_name=folder, max_total_tokens=tiny.CONTEXT) as service:
        openapi.holds(service, tmp_path, 11, name="tiny-gpt2")
