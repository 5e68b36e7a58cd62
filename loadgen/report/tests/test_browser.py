"""The report in Chromium, without a network: it draws, reads one instant in all charts, and complains of nothing."""

import pytest

from apps.serving.tests.browser import DESKTOP, PHONE, chromium, complaints, fits, open_page
from loadgen.report import page
from loadgen.report.compare import compare
from loadgen.report.tests import documents

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path):
    pages = []

    def open_html(html: str, viewport=DESKTOP):
        (tmp_path / "report.html").write_text(html)
        pages.append(open_page(browser, (tmp_path / "report.html").as_uri(), viewport))
        pages[-1].context.set_offline(True)
        return pages[-1]

    yield open_html
    for opened_page in pages:
        assert complaints(opened_page) == []
        opened_page.close()


def test_the_arrow_keys_read_every_chart_at_one_instant(opened):
    report = opened(page.report(documents.observed()))
    report.locator("#charts").focus()
    for _ in range(4):
        report.keyboard.press("Shift+ArrowRight")
    assert report.locator("#instant").inner_text() == "40 s · high"
    read = " ".join(report.locator("#charts").text_content().split())
    for value in (
        "due 20/s",
        "answered 20/s",
        "response p99 3 s",
        "service p50 100 ms",
        "desired 1",
        "ready 1",
        "1 ready",
    ):
        assert value in read, read


def test_the_pointer_reads_and_dragging_enlarges(opened):
    report = opened(page.report(documents.observed()))
    box = report.locator("figure > svg").first.bounding_box()
    report.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    instant = float(report.locator("#instant").inner_text().split()[0])
    assert 50 < instant < 70
    report.mouse.down()
    report.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20)
    report.mouse.up()
    ticks = report.locator("figure:last-child text.tick").all_text_contents()
    assert "0 s" not in ticks, ticks
    report.locator("#charts").press("Escape")
    assert "0 s" in report.locator("figure:last-child text.tick").all_text_contents()


@pytest.mark.parametrize(
    "due", [[], [0] * 5, [3], [5] * 60], ids=["no second", "no request", "one request", "one phase"]
)
def test_nearly_empty_runs_are_drawn_without_a_complaint(opened, due):
    document = documents.run(due)
    report = opened(page.report({**document, "phases": document["phases"][:1]}))
    assert report.locator("figure > svg").count() == 2


def test_a_million_requests_are_drawn(opened):
    report = opened(page.report(documents.million()))
    paths = report.locator("path.line").evaluate_all("lines => lines.map(line => line.getAttribute('d').length)")
    assert min(paths) > 10_000


def test_hostile_texts_do_not_act(opened):
    document = documents.observed()
    document["summary"]["served_by"][0]["pod"] = (
        "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>"
    )
    document["cluster"]["events"][0]["message"] = "</script><img src=x onerror=window.hit=1>"
    assert opened(page.report(document)).evaluate("window.hit") is None


def test_a_phone_needs_no_scrolling_to_the_side(opened):
    assert fits(opened(page.report(documents.complete()), PHONE))


def test_sentences_in_tables_stay_readable_on_a_phone(opened):
    document = documents.complete()
    document["decisions"][0]["why"] = "5 ready pods use 219% of the requested CPU, 3.13 times the target of 70%. " * 2
    report = opened(page.report(document), PHONE)
    heights = report.locator("tr").evaluate_all("rows => rows.map(row => row.clientHeight)")
    assert max(heights) < 200, heights


def test_two_runs_are_drawn_in_each_chart(opened):
    report = opened(compare(documents.run(), documents.observed(), ("a.json", "b.json")))
    assert report.locator("figure").first.locator("path.line").count() == 2
