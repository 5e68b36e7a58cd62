"""The page at /, used in a browser."""

import re

import pytest
from playwright.sync_api import expect

from apps.lm.tests import process, tiny
from apps.serving.tests import pages
from apps.serving.tests.browser import DESKTOP, PHONE, chromium, complaints, expect_roles, fits, open_page
from apps.serving.tests.processes import until

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
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request, service, browser):
    with open_page(browser, service.url, request.param) as page:
        expect(page.locator("#model")).to_contain_text("endless v1")
        yield page


def submit(page, prompt: str, max_tokens: int) -> None:
    """Fill in the form with the keyboard, from its first field to its button."""
    page.locator("#prompt").focus()
    for text in (prompt, str(max_tokens)):
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.insert_text(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#go")).to_be_focused()
    page.keyboard.press("Enter")


def expect_status(page, start: str) -> None:
    expect(page.locator("#status")).to_have_text(re.compile(f"^{start}"))


@pytest.mark.service
def test_an_answer_is_streamed_and_fills_the_budget(service, page):
    submit(page, "the fox", 20)
    expect_status(page, "Cut at its length: 20 tokens, ")
    with process.client(service) as client:
        answer = client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 20}).json()
    assert page.locator("#answer").text_content() == "the fox" + answer["generated_text"]
    assert page.locator("#counts").inner_text() == "22 of 4096 tokens: 2 read, 20 written"
    assert page.locator("#budget").evaluate("meter => meter.value") == 22
    assert "tokens/s" in page.locator("#status").inner_text()
    assert fits(page)
    assert complaints(page) == []


@pytest.mark.service
@pytest.mark.parametrize("control", ["button", "Escape"])
def test_an_answer_can_be_stopped_and_the_service_is_free_again(service, page, control):
    submit(page, "the fox", CONTEXT - 2)
    expect_status(page, "Writing")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#stop")).to_be_focused()  # the next Enter stops
    page.locator("#stop").click() if control == "button" else page.keyboard.press("Escape")
    expect_status(page, "Stopped")
    with process.client(service) as client:
        until(lambda: "inference_in_flight 0" in client.get("/metrics").text, 30)
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#go")).to_be_focused()  # the next Enter continues


@pytest.mark.service
def test_an_error_is_shown_until_the_next_request(page):
    problem = page.locator("#problem")
    submit(page, "the fox " * 2100, 5)
    expect(problem).to_contain_text("prompt and answer together may have 4096")
    submit(page, "the fox", 5)
    expect_status(page, "Cut")
    assert problem.text_content() == ""


@pytest.mark.service
def test_everything_usable_has_a_name_for_screen_readers(page):
    expect_roles(
        page,
        ("heading", "Continue a text"),
        ("textbox", "Your text"),
        ("spinbutton", "Most tokens"),
        ("spinbutton", "Temperature"),
        ("button", "Continue"),
        ("button", "Stop"),
        ("meter", "Budget"),
        ("region", "Continuation"),
    )
