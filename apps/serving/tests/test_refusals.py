"""What is logged of a request that the application never sees."""

import logging

import pytest

from apps.serving.connections.refusals import RefusedError, response


@pytest.mark.parametrize(("status", "level"), [(400, "INFO"), (431, "INFO"), (503, "ERROR")])
def test_a_refusal_that_is_the_services_fault_is_an_error_in_the_log(caplog, status, level):
    with caplog.at_level(logging.INFO, "serving"):
        response(RefusedError(status, "A sentence."))
    assert [(record.levelname, record.message, record.status) for record in caplog.records] == [
        (level, "refused", status)
    ]
