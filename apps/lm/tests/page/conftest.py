import pytest
from playwright.sync_api import expect

from apps.lm.tests import process, tiny
from apps.lm.tests.page.browsing import CONTEXT
from apps.serving.tests.browser import DESKTOP, PHONE, open_page


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service whose answers can take longer than a test waits."""
    folder = tiny.publish(tiny.save("gpt2", tmp_path_factory.mktemp("models") / "endless_v1", context=CONTEXT))
    with process.serving(model_name=folder, max_total_tokens=CONTEXT) as service:
        yield service


# No rule of the page's style depends on the width, so what fits on a phone fits on a desktop.
@pytest.fixture(params=[pytest.param(PHONE, id="phone"), pytest.param(DESKTOP, id="desktop", marks=pytest.mark.full)])
def page(request, service, browser):
    """The page, with an empty storage."""
    with open_page(browser, service.url, request.param) as page:
        expect(page.locator("#model")).to_have_text("endless v1")
        yield page
