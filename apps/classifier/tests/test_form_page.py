"""The page at / for a model of a table: a form with a field for each feature, and the answer to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.classifier.tests import tables
from apps.classifier.tests.onnx import graphs
from apps.classifier.tests.tables import HOUSE
from apps.serving.tests import pages
from apps.serving.tests.browser import DESKTOP, PHONE, complaints, expect_roles, fits, open_page
from apps.serving.tests.processes import Process, running


def test_the_form_is_the_page_of_a_table_and_the_paper_that_of_pixels(mixed, client):
    form, paper = mixed.get("/"), client.get("/")
    assert "form.js" in form.text and "canvas" not in form.text
    assert "<canvas" in paper.text and "form.js" not in paper.text
    assert form.headers["content-security-policy"] == paper.headers["content-security-policy"]


def test_the_form_loads_nothing_from_other_origins_and_has_what_its_script_uses(mixed):
    pages.is_complete(mixed, Path(__file__).parents[1] / "form")


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Process]:
    with running("apps.classifier", MODEL_PATH=tables.publish_mixed(tmp_path_factory.mktemp("house"))) as process:
        yield process


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request, service, browser) -> Iterator[Page]:
    with open_page(browser, service.url, request.param) as page:
        expect(page.locator("#answer")).to_contain_text("%")
        yield page


def answered(house: dict) -> str:
    """Return the answer as the page shows it."""
    colours = {"red": 0, "green": 1, "blue": 2}
    forest = tables.mixed_forest()
    row = [house["size"], house["rooms"], house["new"], colours[house["colour"]], house["class"]]
    probabilities = forest.predict_proba([[float("nan") if value is None else value for value in row]])[0]
    return f"{forest.classes_[probabilities.argmax()]}, {100 * probabilities.max():.1f} %"


@pytest.mark.service
def test_each_feature_has_a_field_and_the_example_is_answered_at_once(page: Page):
    expect(page.locator("#answer")).to_have_text(answered(HOUSE))
    expect_roles(
        page,
        ("heading", "Ask house"),
        ("form", "Features"),
        ("spinbutton", "size, cm"),
        ("spinbutton", "rooms"),
        *(("combobox", name) for name in ("new", "colour", "class")),
        ("button", "Ask"),
        ("region", "Answer"),
        *(("meter", f"Probability of {label}") for label in ("cheap", "dear")),
    )
    expect(page.get_by_text("0 to 10 in training; empty if missing")).to_be_visible()
    assert page.get_by_label("colour").locator("option").all_inner_texts() == ["red", "green", "blue"]
    assert page.get_by_label("class").locator("option").all_inner_texts() == ["1", "2", "3", "missing"]
    assert fits(page) and complaints(page) == []


@pytest.mark.service
def test_a_changed_field_a_missing_value_and_one_outside_the_training_data_are_answered(page: Page):
    page.get_by_label("rooms").fill("2")
    page.get_by_label("colour").select_option("green")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answer")).to_have_text(answered(HOUSE | {"rooms": 2, "colour": "green"}))
    page.get_by_label("size, cm").fill("")
    page.get_by_label("class").select_option("missing")
    missing = HOUSE | {"rooms": 2, "colour": "green", "size": None, "class": None}
    expect(page.locator("#answer")).to_have_text(answered(missing))
    page.get_by_label("size, cm").fill("99")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#outside")).to_have_text("Outside the training data: size.")
    assert complaints(page) == []


@pytest.mark.service
def test_a_regressor_shows_its_value(browser: Browser, tmp_path):
    from sklearn.datasets import load_diabetes

    value = tables.diabetes_forest().predict(load_diabetes().data[:1])[0]
    artifact = tables.publish_diabetes(tmp_path)
    with running("apps.classifier", MODEL_PATH=artifact) as process, open_page(browser, process.url) as page:
        expect(page.locator("#answer")).to_have_text(repr(float(value)))
        assert complaints(page) == []


@pytest.mark.service
def test_a_text_that_no_value_of_an_open_category_is_can_be_typed(browser: Browser, tmp_path):
    artifact = graphs.publish_colours(tmp_path)
    with running("apps.classifier", MODEL_PATH=artifact) as process, open_page(browser, process.url) as page:
        field = page.get_by_label("colour")
        expect(page.locator("#answer")).to_have_text("1")  # red, the example
        suggested = field.evaluate("input => [...input.list.options].map(option => option.value)")
        assert suggested == ["red", "green"]
        for text, value in (("green", "2"), ("violet", "0"), ("", "3")):
            field.fill(text)
            page.get_by_role("button", name="Ask").click()
            expect(page.locator("#answer")).to_have_text(value)
        assert complaints(page) == []


@pytest.mark.service
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_answer_stays_in_sight_while_the_fields_of_a_wide_table_scroll(browser: Browser, tmp_path, viewport):
    artifact = tables.publish_wide(tmp_path)
    with running("apps.classifier", MODEL_PATH=artifact) as process, open_page(browser, process.url, viewport) as page:
        expect(page.locator("#answer")).to_contain_text("%")
        for number in (0, 100, 199):
            page.locator(f"#feature{number}").scroll_into_view_if_needed()
            expect(page.locator("#answer")).to_be_in_viewport()
        assert fits(page) and complaints(page) == []
