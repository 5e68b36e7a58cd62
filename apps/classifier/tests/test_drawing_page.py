"""The page at /: a digit drawn by mouse, by finger or by keyboard is classified while it is drawn."""

from collections.abc import Iterator

import pytest

from apps.serving.tests import pages
from apps.serving.tests.browser import DESKTOP, PHONE, Page, chromium
from apps.serving.tests.processes import Process, running

BARS = "[...document.querySelectorAll('#bars meter')].map(bar => bar.value)"
# Read in one step: a later answer may replace both.
ANSWER = f"({{bars: {BARS}, text: document.getElementById('answer').textContent}})"
ANSWERED = "document.getElementById('facts').textContent.includes(' ms')"
STROKE = [(0.5, 0.15 + 0.07 * step) for step in range(11)]  # a 1, in parts of the paper's width and height


def test_the_page_loads_nothing_from_other_origins(client):
    pages.is_complete(client)


@pytest.fixture(scope="module")
def service(artifact) -> Iterator[Process]:
    with running("apps.classifier", MODEL_PATH=artifact) as process:
        yield process


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request, service, browser) -> Page:
    browser.open(service.url, request.param)
    return browser


def stroke(page: Page) -> list[dict[str, float]]:
    """Return the points of STROKE in pixels of the screen."""
    box = page.value("document.getElementById('paper').getBoundingClientRect().toJSON()")
    return [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in STROKE]


def by_mouse(page: Page) -> None:
    first, *others = stroke(page)
    button = {"button": "left", "clickCount": 1}
    page.send("Input.dispatchMouseEvent", type="mousePressed", **button, **first)
    for point in others:
        page.send("Input.dispatchMouseEvent", type="mouseMoved", buttons=1, **button, **point)
    page.until(ANSWERED)  # while the button is still down
    page.send("Input.dispatchMouseEvent", type="mouseReleased", **button, **others[-1])


def by_finger(page: Page) -> None:
    first, *others = stroke(page)
    page.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[first])
    for point in others:
        page.send("Input.dispatchTouchEvent", type="touchMove", touchPoints=[point])
    page.until(ANSWERED)
    assert page.value("scrollY") == 0, "the page moved instead of the pen"
    page.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def by_keyboard(page: Page) -> None:
    page.value("document.getElementById('paper').focus()")
    page.press(" ")
    for _ in range(14):
        page.press("ArrowDown")
    assert page.text("#pen") == "Pen down, column 14, row 20"
    page.press(" ")


@pytest.mark.service
@pytest.mark.parametrize("draw", [by_mouse, by_finger, by_keyboard])
def test_a_drawing_is_classified_and_its_probabilities_are_shown_as_ten_bars(page, draw):
    assert page.value(BARS) == [0] * 10
    draw(page)
    page.until(ANSWERED)
    answer = page.value(ANSWER)
    bars = answer["bars"]
    assert len(bars) == 10 and abs(sum(bars) - 1) < 1e-6
    assert answer["text"] == f"{bars.index(max(bars))}, {100 * max(bars):.1f} %"
    assert page.fits()
    assert page.value("document.getElementById('bars').getBoundingClientRect().bottom <= innerHeight")
    assert page.complaints() == []


@pytest.mark.service
@pytest.mark.parametrize("means", ["button", "Escape"])
def test_a_drawing_can_be_cleared(page, means):
    by_mouse(page)
    page.tapped("#clear") if means == "button" else page.press("Escape")
    page.until("document.getElementById('answer').textContent === 'Nothing is drawn yet.'")
    assert page.value(BARS) == [0] * 10


@pytest.mark.service
def test_every_control_and_every_result_has_a_role_and_a_name_for_screen_readers(page):
    names = page.spoken()
    for role, name in [
        ("heading", "Draw a digit"),
        ("application", "Paper"),
        ("button", "Clear"),
        ("link", "API"),
        ("region", "Drawing"),
        ("region", "Answer"),
        *(("meter", f"Probability of {digit}") for digit in range(10)),
    ]:
        assert (role, name) in names, names


@pytest.mark.service
def test_the_page_says_that_the_service_is_gone(browser, artifact):
    with running("apps.classifier", MODEL_PATH=artifact) as process:
        browser.open(process.url, DESKTOP)
    by_keyboard(browser)
    assert browser.until("document.getElementById('problem').textContent")
