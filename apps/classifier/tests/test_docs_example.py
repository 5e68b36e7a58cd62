"""/docs shows an example body as 28 rows of 28 numbers, and sends it."""

import pytest

from apps.serving.tests.browser import chromium
from apps.serving.tests.processes import running

PREDICT = "#operations-prediction-predict_predict_post"


@pytest.mark.service
def test_the_example_looks_like_its_digit_and_can_be_sent(artifact, tmp_path):
    with running("apps.classifier", MODEL_PATH=artifact) as service, chromium(tmp_path) as browser:
        browser.open(f"{service.url}/docs")
        for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
            browser.until(f"document.querySelector('{PREDICT} {button}') !== null")
            browser.tapped(f"{PREDICT} {button}")
        browser.until(f"document.querySelector('{PREDICT} .live-responses-table .response') !== null")
        lines = browser.value(f"document.querySelector('{PREDICT} textarea').value").splitlines()
        assert len(lines) == 32
        assert lines[10] == ",".join("0" * 8 + "1" * 13 + "0" * 7) + ",", "the upper stroke of a seven"
        assert '"label"' in browser.text(f"{PREDICT} .live-responses-table")
        assert browser.complaints() == []
