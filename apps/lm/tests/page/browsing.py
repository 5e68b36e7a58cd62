"""What tests of the page do in it."""

import re

from playwright.sync_api import expect

CONTEXT = 4096


def send(page, text: str, most: int | None = None) -> None:
    """Set the length of the answer, then send a text with the keyboard alone."""
    page.locator("details", has_text="Settings").evaluate("details => { details.open = true }")
    page.locator("#most").fill("" if most is None else str(most))
    page.locator("#prompt").focus()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(text)
    page.keyboard.press("ControlOrMeta+Enter")


def expect_status(page, start: str) -> None:
    """Wait until the status begins with the regular expression `start`."""
    expect(page.locator("#status")).to_have_text(re.compile(f"^{start}"))


def turns(page) -> list[str]:
    """The texts of the turns that the page shows."""
    return page.locator("#turns .turn > div").all_text_contents()
