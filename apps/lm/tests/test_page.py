"""The page at /, as people use it in a browser."""

import pytest

from apps.lm.tests import process, tiny
from apps.serving.tests import pages
from apps.serving.tests.browser import DESKTOP, PHONE, chromium

CONTEXT = 4096


def test_it_is_complete_by_itself_and_its_policy_allows_only_this_origin(client):
    pages.is_complete(client)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service whose model can answer for longer than anyone waits."""
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


def ask(page, prompt: str, most: int) -> None:
    """Fill the form by the keyboard, from its first field to its button."""
    page.value("document.getElementById('prompt').focus()")
    for text in (prompt, str(most)):
        page.value("document.activeElement.select()")
        page.type(text)
        page.press("Tab")
    page.press("Tab")
    assert page.value("document.activeElement.id") == "go"
    page.press("Enter")


@pytest.mark.service
def test_an_answer_streams_in_and_fills_the_budget(service, page):
    ask(page, "the fox", 20)
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
@pytest.mark.parametrize("how", ["button", "Escape"])
def test_it_is_stopped_and_the_service_is_free_again(page, how):
    ask(page, "the fox", CONTEXT - 2)
    page.until("document.getElementById('status').textContent.startsWith('Writing')")
    assert page.value("document.getElementById('answer').ariaBusy") == "true"
    assert page.value("document.activeElement.id") == "stop", "the next Enter stops"
    page.tapped("#stop") if how == "button" else page.press("Escape")
    page.until("document.getElementById('status').textContent.startsWith('Stopped')")
    page.until("fetch('metrics').then(a => a.text()).then(text => /inference_in_flight 0/.test(text))")
    assert page.value("document.getElementById('answer').ariaBusy") == "false"
    assert page.value("document.activeElement.id") == "go", "and the one after goes on"


@pytest.mark.service
def test_what_is_wrong_is_said_and_the_next_try_forgets_it(page):
    ask(page, "the fox " * 2100, 5)
    problem = "document.getElementById('problem').textContent"
    assert "prompt and answer together may have 4096" in page.until(problem)
    ask(page, "the fox", 5)
    page.until("document.getElementById('status').textContent.startsWith('Cut')")
    assert page.value(problem) == ""


@pytest.mark.service
def test_a_screen_reader_finds_a_name_on_everything_that_can_be_used(page):
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
