"""/docs shows an example body as 28 rows of 28 numbers, and sends it."""

import pytest
from playwright.sync_api import expect

from apps.serving.tests.browser import chromium, complaints, open_page
from apps.serving.tests.processes import running

PREDICT = "#operations-prediction-predict_predict_post"


@pytest.mark.service
def test_the_example_looks_like_its_digit_and_can_be_sent(artifact):
    with running("apps.classifier", MODEL_PATH=artifact) as service, chromium() as browser:
        page = open_page(browser, f"{service.url}/docs")
        operation = page.locator(PREDICT)
        for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
            operation.locator(button).click()
        expect(operation.locator(".live-responses-table .response")).to_contain_text('"label"')
        lines = operation.locator("textarea").input_value().splitlines()
        assert len(lines) == 32
        assert lines[10] == ",".join("0" * 8 + "1" * 13 + "0" * 7) + ",", "the upper stroke of a seven"
        assert complaints(page) == []
