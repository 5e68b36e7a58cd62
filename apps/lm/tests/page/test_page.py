"""The page at /, used in a browser."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from apps.lm.tests import process
from apps.lm.tests.page.browsing import CONTEXT, expect_status, send, turns
from apps.serving.tests import pages
from apps.serving.tests.browser import complaints, expect_roles, fits
from apps.serving.tests.processes import until

PAGE = Path(__file__).parents[2] / "page"


def test_the_page_loads_nothing_from_other_origins(client):
    pages.is_complete(client, PAGE)


@pytest.mark.service
def test_a_conversation_is_streamed_turn_by_turn_and_fills_the_budget(service, page):
    page.locator("#temperature").evaluate("input => { input.value = '0' }")
    send(page, "the fox", 5)
    expect_status(page, "Cut at its length: 5 tokens, ")
    messages = [{"role": "user", "content": "the fox"}]
    with process.client(service) as client:
        body = {"model": "endless", "messages": messages, "max_tokens": 5, "temperature": 0}
        answer = client.post("/v1/chat/completions", json=body).json()
        text = answer["choices"][0]["message"]["content"]
        assert " ".join(turns(page)[1].split()) == " ".join(re.sub(r"[*`#]", "", text).split())
        total = answer["usage"]["total_tokens"]
        assert page.locator("#counts").inner_text() == f"{total} of 4096 tokens: {total - 5} read, 5 written"
        assert page.locator("#budget").evaluate("meter => meter.value") == total
        send(page, "once upon", 3)
        expect_status(page, "Cut at its length: 3 tokens, ")
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "once upon"}]
        read = client.post("/v1/chat/completions", json=body | {"messages": messages}).json()["usage"]["prompt_tokens"]
    assert len(turns(page)) == 4
    assert page.locator("#counts").inner_text() == f"{read + 3} of 4096 tokens: {read} read, 3 written"
    assert fits(page)
    assert complaints(page) == []


@pytest.mark.service
def test_a_text_is_continued_in_the_other_mode(service, page):
    page.locator("#text").check()
    page.locator("#temperature").evaluate("input => { input.value = '0' }")
    send(page, "the fox", 20)
    expect_status(page, "Cut at its length: 20 tokens, ")
    with process.client(service) as client:
        answer = client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 20}).json()
    assert turns(page) == ["the fox" + answer["generated_text"]]
    assert page.locator("#counts").inner_text() == "22 of 4096 tokens: 2 read, 20 written"
    assert "tokens/s" in page.locator("#status").inner_text()
    assert fits(page)


@pytest.mark.service
def test_one_token_has_a_time_and_no_rate(page):
    page.locator("#temperature").evaluate("input => { input.value = '0' }")
    send(page, "the fox", 1)
    expect_status(page, r"Cut at its length: 1 token, the first after \d+\.\d\d s$")


@pytest.mark.service
def test_the_curl_command_gets_the_same_answer(page, service):
    page.locator("#temperature").evaluate("input => { input.value = '0' }")
    send(page, "the fox's den", 5)
    expect_status(page, "Cut")
    command = page.locator("#curl").text_content()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["usage"]["completion_tokens"] == 5
    assert "the fox's den" in turns(page)[0]


@pytest.mark.service
@pytest.mark.parametrize("control", ["button", "Escape"])
def test_an_answer_can_be_stopped_and_the_service_is_free_again(service, page, control):
    send(page, "the fox", CONTEXT - 100)
    expect_status(page, "Writing")
    expect(page.locator("#turns")).to_have_attribute("aria-busy", "true")
    page.locator("#stop").click() if control == "button" else page.keyboard.press("Escape")
    expect_status(page, "Stopped")
    with process.client(service) as client:
        until(lambda: "inference_in_flight 0" in client.get("/metrics").text, 30)
    expect(page.locator("#turns")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#go")).to_be_enabled()


@pytest.mark.service
def test_a_refused_message_comes_back_to_be_changed_and_the_error_goes_with_the_next(page):
    problem, text = page.locator("#problem"), "the fox " * 2100
    send(page, text, 5)
    expect(problem).to_contain_text("4096")
    assert page.locator("#prompt").input_value() == text and turns(page) == []
    send(page, "the fox", 5)
    expect_status(page, "Cut")
    assert problem.text_content() == "" and len(turns(page)) == 2


@pytest.mark.service
def test_the_budget_fills_while_the_answer_is_written(page):
    send(page, "the fox", CONTEXT - 100)
    expect_status(page, r"Writing: \d\d")
    assert re.match(r"\d+ of 4096 tokens: \d+ read, \d+ written$", page.locator("#counts").inner_text())
    assert page.locator("#budget").evaluate("meter => meter.value") > 0
    page.keyboard.press("Escape")
    expect_status(page, "Stopped")


@pytest.mark.service
def test_another_answer_takes_the_place_of_the_last(page):
    page.locator("#temperature").evaluate("input => { input.value = '2' }")
    again = page.locator("#again")
    assert not again.is_visible(), "there is no answer yet"
    for text in ("the fox", "once upon"):
        send(page, text, 12)
        expect_status(page, "(Cut|Ended)")
    before = turns(page)
    page.locator("#prompt").fill("a draft")
    again.click()
    expect(again).to_be_visible()
    assert turns(page)[:3] == before[:3] and len(turns(page)) == 4
    assert turns(page)[3] != before[3]
    assert page.locator("#prompt").input_value() == "a draft"
    page.locator("#prompt").fill("")
    command = page.locator("#curl").text_content()
    assert command.count('"role":"user"') == 2, "the answer that was replaced is not sent"


def chunk(text: str = "", reason: str | None = None, **finish: str) -> str:
    """An event of a chat's stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason, **finish}
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    return f"data: {json.dumps({'choices': [choice], 'usage': usage})}\n\n"


@pytest.mark.service
@pytest.mark.parametrize(
    ("answer", "problem", "kept"),
    [
        ({"body": chunk("half"), "content_type": "text/event-stream"}, "The connection was lost before", ["half"]),
        ({"body": "<h1>Bad Gateway</h1>", "status": 502}, "The service answered with status 502", []),
        (None, "The service cannot be reached", []),
    ],
    ids=["a stream that breaks off", "a proxy's page", "no connection"],
)
def test_a_lost_answer_is_told_and_what_came_is_kept(page, answer, problem, kept):
    page.route("**/v1/chat/completions", lambda route: route.fulfill(**answer) if answer else route.abort())
    send(page, "the fox")
    expect(page.locator("#problem")).to_contain_text(problem)
    assert turns(page)[1:] == kept
    assert page.locator("#prompt").input_value() == ("" if kept else "the fox")
    expect(page.locator("#go")).to_be_enabled()
    page.unroute("**/v1/chat/completions")
    send(page, "the fox", 3)
    expect_status(page, "Cut at its length")


@pytest.mark.service
def test_an_answer_that_the_deadline_has_cut_says_so_with_the_deadline(page):
    body = chunk("late") + chunk(reason="length", stop_reason="deadline") + "data: [DONE]\n\n"
    answer = {"body": body, "content_type": "text/event-stream"}
    page.route("**/v1/chat/completions", lambda route: route.fulfill(**answer))
    send(page, "the fox")
    expect_status(page, "Cut at the service's time limit of 30 s: 1 token, ")


@pytest.mark.service
def test_start_again_forgets_the_conversation(page):
    send(page, "the fox", 2)
    expect_status(page, "Cut")
    page.locator("#clear").click()
    assert turns(page) == [] and page.locator("#counts").inner_text() == "nothing used yet"
    page.locator("#examples button").first.click()
    assert page.locator("#prompt").input_value() == "What is the capital of France?"
    assert page.locator("#curl").text_content().count('"role"') == 1


@pytest.mark.service
def test_markdown_is_shown_and_cannot_act(page):
    text = (
        "# Title\n**bold** and *soft* `x<1`\n\n1. one\n2. two\n\n- a\n```\n<b>code</b>\n```\n<img src=x onerror=hit()>"
    )
    html = page.evaluate(
        "async text => { const { markdown } = await import('/markdown.js'); const box = document.createElement('div');"
        " box.append(...markdown(text)); return box.innerHTML; }",
        text,
    )
    assert html == (
        '<h3>Title</h3><p><strong>bold</strong> and <em>soft</em> <code>x&lt;1</code></p><ol start="1"><li>one</li>'
        "<li>two</li></ol><ul><li>a</li></ul><pre><code>&lt;b&gt;code&lt;/b&gt;</code></pre>"
        "<p>&lt;img src=x onerror=hit()&gt;</p>"
    )


@pytest.mark.service
def test_everything_usable_has_a_name_for_screen_readers(page):
    for details in page.locator("details").all():
        details.evaluate("details => { details.open = true }")
    expect_roles(
        page,
        ("heading", "endless v1"),
        ("radio", "Chat"),
        ("radio", "Continue a text"),
        ("region", "Conversation"),
        ("textbox", "Your message"),
        ("button", "Send"),
        ("button", "Start again"),
        ("button", "Delete all"),
        ("checkbox", "Keep new ones"),
        ("meter", "Budget"),
        ("spinbutton", "Most tokens"),
        ("spinbutton", "Temperature"),
        ("spinbutton", "Top p"),
        ("spinbutton", "Seed"),
        ("textbox", "System message"),
    )
