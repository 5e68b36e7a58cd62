"""The page at /, used in a browser."""

import pytest

from apps.lm.tests import process, tiny
from apps.serving.tests import pages
from apps.serving.tests.browser import DESKTOP, PHONE, chromium

CONTEXT = 4096


def test_the_page_loads_nothing_from_other_origins(client):
    pages.is_complete(client)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service whose answers can take longer than a test waits."""
    folder = tiny.publish(tiny.save("gpt2", tmp_path_factory.mktemp("models") / "endless_v1", context=CONTEXT))
    with process.serving(model_name=folder, max_total_tokens=CONTEXT) as service:
        yield service


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request, service, browser):
    browser.open(service.url, request.param)
    browser.until("document.getElementById('model').textContent.includes('endless v1')")
    return browser


def submit(page, prompt: str, max_tokens: int) -> None:
    """Fill in the form with the keyboard, from its first field to its button."""
    page.value("document.getElementById('prompt').focus()")
    for text in (prompt, str(max_tokens)):
        page.value("document.activeElement.select()")
        page.type(text)
        page.press("Tab")
    page.press("Tab")
    assert page.value("document.activeElement.id") == "go"
    page.press("Enter")


@pytest.mark.service
def test_an_answer_is_streamed_and_fills_the_budget(service, page):
    submit(page, "the fox", 20)
    page.until("document.getElementById('status').textContent.startsWith('Cut at its length')")
    with process.client(service) as client:
        answer = client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 20}).json()
    assert page.value("document.getElementById('answer').textContent") == "the fox" + answer["generated_text"]
    assert page.text("#counts") == "22 of 4096 tokens: 2 read, 20 written"
    assert page.value("document.getElementById('budget').value") == 22
    assert page.text("#status").startswith("Cut at its length: 20 tokens, ")
    assert "tokens/s" in page.text("#status")
    assert page.fits()
    assert page.complaints() == []


@pytest.mark.service
@pytest.mark.parametrize("control", ["button", "Escape"])
def test_an_answer_can_be_stopped_and_the_service_is_free_again(page, control):
    submit(page, "the fox", CONTEXT - 2)
    page.until("document.getElementById('status').textContent.startsWith('Writing')")
    assert page.value("document.getElementById('answer').ariaBusy") == "true"
    assert page.value("document.activeElement.id") == "stop", "Enter stops it"
    page.tapped("#stop") if control == "button" else page.press("Escape")
    page.until("document.getElementById('status').textContent.startsWith('Stopped')")
    page.until("fetch('metrics').then(a => a.text()).then(text => /inference_in_flight 0/.test(text))")
    assert page.value("document.getElementById('answer').ariaBusy") == "false"
    assert page.value("document.activeElement.id") == "go", "Enter continues"


@pytest.mark.service
def test_an_error_is_shown_until_the_next_request(page):
    submit(page, "the fox " * 2100, 5)
    problem = "document.getElementById('problem').textContent"
    assert "prompt and answer together may have 4096" in page.until(problem)
    submit(page, "the fox", 5)
    page.until("document.getElementById('status').textContent.startsWith('Cut')")
    assert page.value(problem) == ""


@pytest.mark.service
def test_everything_usable_has_a_name_for_screen_readers(page):
    spoken = page.spoken()
    for role, name in [
        ("heading", "Continue a text"),
        ("textbox", "Your text"),
        ("spinbutton", "Most tokens"),
        ("spinbutton", "Temperature"),
        ("button", "Continue"),
        ("button", "Stop"),
        ("meter", "Budget"),
        ("region", "Continuation"),
    ]:
        assert (role, name) in spoken, spoken
