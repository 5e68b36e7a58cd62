import pytest

from apps.classifier.tests import tables
from apps.serving.tests import openapi
from apps.serving.tests.processes import running

pytestmark = [pytest.mark.service, pytest.mark.full]


def test_no_request_gets_a_5xx_or_an_answer_that_is_not_documented(artifact, tmp_path):
    with running("apps.classifier", MODEL_PATH=artifact) as process:
        openapi.holds(process, tmp_path, 17, name="tiny", version="v1")


def test_the_same_holds_for_a_table(tmp_path):
    with running("apps.classifier", MODEL_PATH=tables.publish_mixed(tmp_path)) as process:
        openapi.holds(process, tmp_path, 16, name="house", version="v1")
