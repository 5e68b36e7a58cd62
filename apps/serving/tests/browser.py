"""Opens the services' pages in Debian's Chromium, driven by playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

PHONE, DESKTOP = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=800)
expect.set_options(timeout=30_000)  # milliseconds: the machine may be busy


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; skip the test if Debian's package is not installed.

    Playwright runs an event loop in this thread, so that `asyncio.run` fails until the context ends.
    """
    if (program := shutil.which("chromium")) is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with sync_playwright() as driver, driver.chromium.launch(executable_path=program) as browser:
        yield browser


def open_page(browser: Browser, url: str, viewport: ViewportSize = DESKTOP) -> Page:
    """Load `url` in a window of its own."""
    page = browser.new_page(viewport=viewport, is_mobile=viewport == PHONE)
    page.set_default_timeout(30_000)  # milliseconds
    page.goto(url)
    return page


def fits(page: Page) -> bool:
    """Whether the page needs no scrolling to the side."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth") is True


def complaints(page: Page) -> list[str]:
    """Return uncaught errors, messages of the console (violated policies among them) and requests to other origins."""
    own = page.evaluate("location.origin")
    others = [r.url for r in page.requests() if not r.url.startswith((own, "data:", "about:"))]
    return [str(error) for error in page.page_errors()] + [m.text for m in page.console_messages()] + others


def expect_roles(page: Page, *roles: tuple[str, str]) -> None:
    """Fail unless a screen reader gets each (role, name) exactly once."""
    snapshot = page.locator("body").aria_snapshot()
    for role, name in roles:
        assert snapshot.count(f'- {role} "{name}"') == 1, snapshot
