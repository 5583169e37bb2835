"""On a small screen: the answer comes right after the photo, and the settings are a drawer."""

import pytest
from browser import CARDS, Visitor


def test_the_answer_comes_right_after_the_photo_and_the_settings_are_a_drawer(browser_context, server, photos):
    visitor = Visitor(browser_context, server.url, 390, 844, "dark")
    drawer, opener = visitor.page.locator("#settings"), visitor.page.locator("#open-settings button")
    assert drawer.is_hidden()
    visitor.explain(photos / "landscape.jpg")
    assert visitor.page.locator("#examples").is_hidden()
    answer, toolbar = (visitor.page.locator(name).bounding_box() for name in (".gx-answer", ".gx-toolbar"))
    assert answer["y"] < 844 / 2
    assert toolbar["height"] < 115  # two lines
    assert toolbar["y"] + toolbar["height"] < 844

    visitor.page.mouse.wheel(0, 1500)
    visitor.page.wait_for_function("scrollY > 500")
    opener.click()  # wherever one is
    assert drawer.get_attribute("role") == "dialog"
    box = drawer.bounding_box()
    assert (box["x"], box["width"]) == (0, 390)
    assert box["y"] > 844 / 5  # the answer is seen above it
    visitor.page.get_by_label("Last", exact=True).check()
    visitor.page.wait_for_function(f"document.querySelectorAll('{CARDS}').length === 1")
    visitor.open_more()
    assert visitor.page.locator("#settings-head button").bounding_box()["y"] > box["y"] / 2  # it stays in sight
    visitor.page.locator("#fusion").scroll_into_view_if_needed()
    visitor.page.get_by_role("button", name="Done").click()
    assert drawer.is_hidden()
    opener.click()
    visitor.page.keyboard.press("Escape")
    assert drawer.is_hidden()
    assert opener.evaluate("button => button === document.activeElement")
    visitor.page.set_viewport_size({"width": 1280, "height": 800})  # turned, or another screen
    drawer.wait_for()
    assert opener.is_hidden()
    assert drawer.get_attribute("role") is None
    assert visitor.complaints == []
    visitor.page.close()


def test_on_a_desk_the_answer_stays_in_sight_beside_long_settings(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.open_more()
    visitor.page.locator("#article").scroll_into_view_if_needed()
    toolbar = visitor.page.locator(".gx-toolbar").bounding_box()
    assert 0 <= toolbar["y"] < 800
    cards = [card.bounding_box()["y"] for card in visitor.page.locator(CARDS).all()]
    assert max(cards) < 800
    visitor.page.get_by_label("All", exact=True).check()
    visitor.page.wait_for_function(f"document.querySelectorAll('{CARDS}').length > 20")
    visitor.page.evaluate("scrollTo(0, 600)")
    assert visitor.page.locator("#side").bounding_box()["y"] == pytest.approx(0, abs=1)
