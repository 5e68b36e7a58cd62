"""The page at /: a digit drawn by mouse, by finger or by keyboard is classified while it is drawn."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.serving.tests import pages
from apps.serving.tests.browser import DESKTOP, PHONE, complaints, expect_roles, fits, open_page
from apps.serving.tests.processes import Process, running

PAGE = Path(__file__).parents[1] / "page"
BARS = "[...document.querySelectorAll('#bars meter')].map(bar => bar.value)"
STROKE = [(0.5, 0.15 + 0.07 * step) for step in range(11)]  # a 1, in parts of the paper's width and height


def test_the_page_loads_nothing_from_other_origins(client):
    pages.is_complete(client, PAGE)


@pytest.fixture(scope="module")
def service(artifact) -> Iterator[Process]:
    with running("apps.classifier", MODEL_PATH=artifact) as process:
        yield process


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request, service, browser) -> Iterator[Page]:
    with open_page(browser, service.url, request.param) as page:
        yield page


def wait_for_answer(page: Page) -> None:
    expect(page.locator("#facts")).to_contain_text(" ms")


def stroke(page: Page) -> list[tuple[float, float]]:
    """Return the points of STROKE in pixels of the screen."""
    box = page.locator("#paper").bounding_box()
    assert box
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in STROKE]


def by_mouse(page: Page) -> None:
    first, *others = stroke(page)
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point)
    wait_for_answer(page)  # while the button is still down
    page.mouse.up()


def by_finger(page: Page) -> None:
    first, *others = [{"x": x, "y": y} for x, y in stroke(page)]
    protocol = page.context.new_cdp_session(page)  # playwright's own touchscreen only taps
    protocol.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [first]})
    for point in others:
        protocol.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    wait_for_answer(page)
    assert page.evaluate("scrollY") == 0, "the page moved instead of the pen"
    protocol.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def by_keyboard(page: Page) -> None:
    page.locator("#paper").focus()
    page.keyboard.press("Space")
    for _ in range(14):
        page.keyboard.press("ArrowDown")
    expect(page.locator("#pen")).to_have_text("Pen down, column 14, row 20")
    page.keyboard.press("Space")


@pytest.mark.service
@pytest.mark.parametrize("draw", [by_mouse, by_finger, by_keyboard])
def test_a_drawing_is_classified_and_its_probabilities_are_shown_as_ten_bars(page: Page, draw: Callable[[Page], None]):
    assert page.evaluate(BARS) == [0] * 10
    draw(page)
    wait_for_answer(page)
    # Both in one evaluation: the answer to a later point of the stroke may arrive at any moment.
    bars, answer = page.evaluate(f"[{BARS}, document.getElementById('answer').innerText]")
    assert len(bars) == 10 and abs(sum(bars) - 1) < 1e-6
    assert answer == f"{bars.index(max(bars))}, {100 * max(bars):.1f} %"
    assert fits(page)
    assert page.evaluate("document.getElementById('bars').getBoundingClientRect().bottom <= innerHeight")
    assert complaints(page) == []


@pytest.mark.service
@pytest.mark.parametrize("means", ["button", "Escape"])
def test_a_drawing_can_be_cleared(page: Page, means: str):
    by_mouse(page)
    page.locator("#clear").click() if means == "button" else page.keyboard.press("Escape")
    expect(page.locator("#answer")).to_have_text("Nothing is drawn yet.")
    assert page.evaluate(BARS) == [0] * 10


@pytest.mark.service
def test_every_control_and_every_result_has_a_role_and_a_name_for_screen_readers(page: Page):
    expect_roles(
        page,
        ("heading", "Draw a digit"),
        ("application", "Paper"),
        ("button", "Clear"),
        ("link", "API"),
        ("region", "Drawing"),
        ("region", "Answer"),
        *(("meter", f"Probability of {digit}") for digit in range(10)),
    )


@pytest.mark.service
def test_the_page_says_that_the_service_is_gone(browser: Browser, artifact):
    with running("apps.classifier", MODEL_PATH=artifact) as process:
        page = open_page(browser, process.url)
    with page:
        by_keyboard(page)
        expect(page.locator("#problem")).not_to_be_empty()
