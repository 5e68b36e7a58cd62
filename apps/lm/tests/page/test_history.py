"""The page keeps conversations in the browser, and earlier messages can be changed."""

import json

import pytest
from playwright.sync_api import expect

from apps.lm.tests.page.browsing import expect_status, send, turns
from apps.serving.tests.browser import complaints, fits

pytestmark = pytest.mark.service


def answered(page, text: str, most: int = 3) -> list[str]:
    """Send a text; return the turns when its answer has ended.

    The most likely tokens have a text; of drawn ones all can be special tokens, and an answer without text is not kept.
    """
    page.locator("#temperature").evaluate("input => { input.value = 0 }")
    send(page, text, most)
    expect_status(page, "(Cut|Ended)")
    expect(page.locator("#turns")).to_have_attribute("aria-busy", "false")  # it is kept then
    return turns(page)


def kept(page) -> list[list[dict]]:
    """The messages of the conversations in the browser's storage."""
    stored = page.evaluate("localStorage.getItem('conversations')")
    return [conversation["messages"] for conversation in json.loads(stored or "[]")]


def open_list(page):
    """The list of conversations, unfolded."""
    page.locator("#history").evaluate("details => { details.open = true }")
    return page.locator("#conversations li")


def loaded(page) -> None:
    page.reload()
    expect(page.locator("#model")).to_have_text("endless v1")


def test_conversations_are_kept_in_the_browser_and_go_on_after_a_reload(page):
    assert open_list(page).count() == 0
    answered(page, "the fox")
    first = answered(page, "jumps")
    page.locator("#clear").click()
    answered(page, "once upon")
    assert [messages[0]["content"] for messages in kept(page)] == ["once upon", "the fox"]
    loaded(page)
    assert turns(page) == []
    items = open_list(page)
    assert items.all_inner_texts() == ["once upon\nDelete", "the fox\nDelete"]
    items.nth(1).get_by_role("button", name="Open: the fox").press("Enter")
    assert turns(page) == first
    expect(page.locator("#prompt")).to_be_focused()
    expect(items.nth(1).get_by_role("button").first).to_have_attribute("aria-current", "true")
    assert len(answered(page, "over")) == 6
    assert [len(messages) for messages in kept(page)] == [6, 2], "the one that went on is the latest"
    assert page.locator("#curl").text_content().count('"role":"user"') == 3
    page.locator("#again").click()
    expect(page.locator("#again")).to_be_visible()
    assert [len(messages) for messages in kept(page)] == [6, 2]
    assert fits(page)
    assert complaints(page) == []


def test_the_page_says_where_conversations_are_and_they_can_be_deleted(page):
    expect(page.locator("#history p").first).to_contain_text("kept in this browser only")
    for text in ("the fox", "once upon", "a girl"):
        answered(page, text)
        page.locator("#clear").click()
    items = open_list(page)
    page.get_by_role("button", name="Delete: once upon").press("Enter")
    assert [messages[0]["content"] for messages in kept(page)] == ["a girl", "the fox"]
    expect(page.locator("#history summary")).to_be_focused()
    items.first.get_by_role("button").first.click()
    assert turns(page)[0] == "a girl"
    page.locator("#forget").click()
    assert (kept(page), items.count(), turns(page)) == ([], 0, []), "the one that was shown is deleted too"


def test_conversations_are_not_kept_if_the_user_says_so(page):
    open_list(page)
    page.locator("#keep").uncheck()
    answered(page, "the fox")
    assert kept(page) == []
    loaded(page)
    expect(page.locator("#keep")).not_to_be_checked()
    answered(page, "the fox")
    assert kept(page) == []
    open_list(page)
    page.locator("#keep").check()
    answered(page, "jumps")
    assert [len(messages) for messages in kept(page)] == [4]


def test_an_earlier_message_is_changed_and_replaces_what_followed(page):
    before = answered(page, "the fox")
    answered(page, "jumps")
    page.locator("#prompt").fill("a draft")
    page.get_by_role("button", name="Edit: jumps").press("Enter")
    assert page.locator("#prompt").input_value() == "jumps"
    page.keyboard.press("Escape")
    assert page.locator("#prompt").input_value() == "a draft"
    assert len(turns(page)) == 4 and page.locator(".replaced").count() == 0
    page.get_by_role("button", name="Edit: the fox").click()
    assert page.locator(".replaced").count() == 4
    page.locator("#cancel").click()
    expect(page.locator("#prompt")).to_be_focused()
    page.get_by_role("button", name="Edit: jumps").click()
    expect(page.locator("#prompt")).to_be_focused()
    assert page.locator("#curl").text_content().count('"role":"user"') == 2
    after = answered(page, "over the dog")
    assert after[:2] == before and after[2] == "over the dog" and len(after) == 4
    assert [message["content"] for message in kept(page)[0] if message["role"] == "user"] == ["the fox", "over the dog"]
    assert page.locator("#prompt").input_value() == "a draft"
    page.locator("#prompt").fill("")
    page.get_by_role("button", name="Edit: the fox").click()
    assert len(answered(page, "once upon")) == 2
    assert page.locator("#asks").inner_text() == "Your message"


def test_a_change_that_is_refused_brings_back_what_it_replaced(page):
    answered(page, "the fox")
    before = answered(page, "jumps")
    long = "the fox " * 2100
    page.get_by_role("button", name="Edit: the fox").click()
    send(page, long, 3)
    expect(page.locator("#problem")).to_contain_text("4096")
    assert turns(page) == before and page.locator("#prompt").input_value() == long
    page.route("**/v1/chat/completions", lambda route: route.abort())
    page.locator("#prompt").fill("a draft")
    page.locator("#again").click()
    expect(page.locator("#problem")).to_contain_text("cannot be reached")
    assert turns(page) == before and page.locator("#prompt").input_value() == "a draft"
    page.unroute("**/v1/chat/completions")
    assert len(answered(page, "over")) == 6
    assert [len(messages) for messages in kept(page)] == [6]


def test_a_storage_that_another_program_has_written_is_an_empty_list(page):
    for stored in ("{", "{}", '[{"id": "a"}]', '[{"id": "a", "messages": [{"role": "user"}]}]', "[null]"):
        page.evaluate("text => localStorage.setItem('conversations', text)", stored)
        loaded(page)
        assert open_list(page).count() == 0, stored
    answered(page, "the fox")
    assert len(kept(page)) == 1
    assert complaints(page) == []


def test_the_oldest_conversations_go_when_the_storage_is_full(page):
    page.add_init_script(
        "const set = Storage.prototype.setItem; Storage.prototype.setItem = function (key, text) {"
        " if (text.length > 400) throw new DOMException('full', 'QuotaExceededError'); set.call(this, key, text); }"
    )
    loaded(page)
    for text in ("the fox", "once upon", "a girl", "a dog"):
        answered(page, text)
        page.locator("#clear").click()
    assert 1 <= len(kept(page)) < 4
    assert kept(page)[0][0]["content"] == "a dog"


def test_without_a_storage_there_is_no_list_and_the_page_works(page):
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    loaded(page)
    expect(page.locator("#history")).to_be_hidden()
    assert len(answered(page, "the fox")) == 2
    assert complaints(page) == []
