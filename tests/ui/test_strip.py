"""The strip of several photos in a browser, with answers that are made by hand: its ends, its scale, names in it."""

import numpy as np
import pytest
from gallery import MARKUP, OWL, SET, Onlooker
from test_markup import MADE
from test_several import THUMBS, drop, found, labels, let_fall, say

SHARE = {"first": 2.0, "second": 8.0}  # peaks of two photos; what is shown has 16, and does not count here


def current(onlooker: Onlooker) -> int:
    """The place of the photo that is wanted or shown."""
    pressed = onlooker.page.locator(THUMBS).evaluate_all("all => all.map((one) => one.ariaCurrent)")
    return pressed.index("true")


def test_keys_and_buttons_go_both_ways_past_a_bad_photo_and_stop_at_the_ends(onlooker):
    def answer(wish: dict, **said: object) -> dict:
        return onlooker.hear(lambda: say(onlooker, path=wish["path"], **said))

    def press(key: str) -> int:
        onlooker.page.keyboard.press(key)
        number = current(onlooker)
        assert thumbs.nth(number).evaluate("one => one === document.activeElement")
        return number

    thumbs, earlier, later = (onlooker.page.locator(of) for of in (THUMBS, ".gx-earlier", ".gx-later"))
    first = drop(onlooker, *(f"{letter}.txt" for letter in "abcde"))
    thumbs.nth(2).click()
    answer(answer(first, gone=True), error="The third is bad.")  # so the next one is turned to
    assert current(onlooker) == 3
    thumbs.nth(3).focus()
    assert [press(key) for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft")] == [1, 0, 0]
    assert (earlier.is_disabled(), later.is_disabled()) == (True, False)
    assert [press(key) for key in ("ArrowRight", "ArrowRight", "Home", "End", "ArrowRight")] == [1, 3, 0, 4, 4]
    assert (earlier.is_disabled(), later.is_disabled()) == (False, True)
    for button, number in ((earlier, 3), (earlier, 1), (later, 3), (later, 4)):
        button.click()
        assert current(onlooker) == number


def test_side_by_side_the_shared_scale_is_that_of_the_photos_and_not_of_what_is_shown(onlooker):
    onlooker.see("two")
    first = drop(onlooker, "a.txt", "b.txt")
    second = onlooker.hear(lambda: say(onlooker, **found(first, "stoat") | {"peak": SHARE["first"]}))
    say(onlooker, **found(second, "ferret") | {"peak": SHARE["second"]})
    onlooker.page.get_by_role("button", name="Side by side").click()
    onlooker.page.locator(".gx-colormaps label", has_text="grey").click()

    def brightest() -> list[int]:
        return [int(onlooker.colors(card, ".gx-side canvas")[..., 0].max()) for card in range(2)]

    assert brightest() == [255, 255]
    onlooker.page.get_by_label("shared", exact=True).check()
    assert np.abs(np.subtract(brightest(), [64, 255])).max() <= 1
    onlooker.page.get_by_label("each map", exact=True).check()
    assert brightest() == [255, 255]


def test_side_by_side_a_photo_without_evidence_says_so(onlooker):
    onlooker.see("two")
    first = drop(onlooker, "a.txt", "b.txt")
    second = onlooker.hear(lambda: say(onlooker, **found(first, "stoat")))
    say(onlooker, **found(second, "ferret") | {"peak": 0})
    onlooker.page.get_by_role("button", name="Side by side").click()
    badges = onlooker.page.locator(".gx-side .gx-card").evaluate_all("all => all.map((one) => one.innerText)")
    assert ["no evidence" in text for text in badges] == [False, True]
    sources = onlooker.page.locator(".gx-side img").evaluate_all("all => all.map((one) => one.src)")
    assert [source.partition(":")[0] for source in sources] == ["data", "data"]  # the server's, of whatever kind it was


def test_layer_and_class_of_all_photos_stay_chosen_for_another_answer(onlooker):
    onlooker.see("two")
    first = drop(onlooker, "a.txt", "b.txt")
    second = onlooker.hear(lambda: say(onlooker, **found(first, "stoat")))
    onlooker.page.get_by_role("button", name="Side by side").click()
    layer, of_class = (onlooker.page.locator(f".gx-side [name={name}]") for name in ("layer", "class"))
    layer.select_option("middle")
    of_class.select_option(str(OWL.index))
    onlooker.show("one")
    onlooker.wait_for_title("tawny owl")
    assert (layer.input_value(), of_class.input_value()) == ("middle", str(OWL.index))
    onlooker.show("late")  # another class, by its last layer alone
    onlooker.wait_for_title("newt")
    assert (layer.input_value(), of_class.input_value()) == ("coarse", str(OWL.index))
    of_class.select_option("")
    wish = onlooker.hear(lambda: say(onlooker, path=second["path"], gone=True))
    assert (wish["target"], wish["layer"]) == (None, "coarse")


def test_another_strip_begins_with_each_photos_own_class_and_one_photo_shown(onlooker):
    onlooker.see("two")
    first = drop(onlooker, "a.txt", "b.txt")
    second = onlooker.hear(lambda: say(onlooker, **found(first, "stoat")))
    onlooker.page.get_by_role("button", name="Side by side").click()
    onlooker.page.locator(".gx-side [name=class]").select_option(str(OWL.index))
    let_fall(onlooker, "c.txt", "d.txt")
    assert onlooker.page.locator(".gx-side").is_hidden()
    other = onlooker.hear(lambda: say(onlooker, **found(second, "ferret")))
    assert (other["path"].rpartition("/")[2], other["target"]) == ("c.txt", None)


def test_a_photo_that_was_cleared_away_is_sent_and_asked_for_anew(onlooker):
    onlooker.see("two")
    first = drop(onlooker, "a.txt", "b.txt")
    with onlooker.page.expect_request("**/upload"):
        again = onlooker.hear(lambda: say(onlooker, path=first["path"], gone=True))
    assert (again["path"].rpartition("/")[2], "ahead" in again) == ("a.txt", False)  # it is still wanted


def test_what_takes_long_is_not_asked_for_ahead_of_time_again_but_side_by_side(onlooker):
    onlooker.see("two")
    first = drop(onlooker, "a.txt", "b.txt")
    second = onlooker.hear(lambda: say(onlooker, **found(first, "stoat")))
    assert second["ahead"]
    planned = onlooker.page.evaluate(
        """(detail) => {
            const before = window.setTimeout, planned = [];
            window.setTimeout = (...what) => { planned.push(what[1]); return before(...what); };
            dispatchEvent(new CustomEvent('gradcam-said', { detail }));
            window.setTimeout = before;
            return planned;
        }""",
        {"path": second["path"], "waits": True},
    )
    assert planned == []
    wish = onlooker.hear(onlooker.page.get_by_role("button", name="Side by side").click)
    assert (wish["path"], wish["ahead"]) == (second["path"], False)


def test_why_the_server_takes_no_photo_is_said_as_it_says_it(onlooker):
    onlooker.see("two")
    enough = "You have sent <b>enough</b>."
    onlooker.page.route("**/upload", lambda route: route.fulfill(status=429, body=enough))
    try:
        let_fall(onlooker, "a.txt", "b.txt")
        onlooker.page.locator(".gx-strip-said", has_text=enough).wait_for()
        onlooker.page.wait_for_function("document.querySelectorAll('.gx-thumb.is-bad').length === 2")
    finally:
        onlooker.page.unroute("**/upload")
    onlooker.complaints[:] = [line for line in onlooker.complaints if "status of 429" not in line]  # Chromium's own


def test_a_photo_that_is_sent_late_is_not_turned_to_when_another_was_chosen_meanwhile(onlooker):
    onlooker.see("two")
    held = []
    onlooker.page.route("**/upload", lambda route: route.continue_() if held else held.append(route))
    with onlooker.page.expect_request("**/upload"):
        let_fall(onlooker, "a.txt", "b.txt")
    second = onlooker.hear(onlooker.page.locator(THUMBS).nth(1).click)
    say(onlooker, **found(second, "ferret"))
    late = onlooker.hear(held[0].continue_)
    onlooker.page.unroute("**/upload")
    assert (late["path"].rpartition("/")[2], late.get("ahead")) == ("a.txt", True)  # in idle time, and no more


def test_names_of_files_and_classes_stay_text_in_the_strip_and_side_by_side(onlooker):
    onlooker.see("two")
    names, wrong = [f"{MARKUP}1", f"{MARKUP}2"], f"{MARKUP}2 is text, not a photo."
    first = drop(onlooker, *names)
    thumbs = onlooker.page.locator(f"{THUMBS} span")  # in the place of pictures that browsers do not know
    thumbs.nth(1).wait_for()
    assert thumbs.all_inner_texts() == names
    second = onlooker.hear(lambda: say(onlooker, **found(first, MARKUP)))
    onlooker.page.locator(THUMBS).nth(1).click()
    say(onlooker, path=second["path"], error=wrong)
    assert onlooker.page.locator(".gx-strip-said").inner_text() == wrong
    onlooker.page.get_by_role("button", name="Side by side").click()
    assert onlooker.page.locator(".gx-side-name").all_inner_texts() == [f"{MARKUP} · 42 %", "cannot be used"]
    assert onlooker.page.locator(".gx-side .gx-why").all_inner_texts() == [names[0], wrong]
    assert onlooker.page.evaluate(MADE) == 0
    onlooker.page.locator(THUMBS).first.click()
    assert onlooker.page.locator(".gx-strip-said").inner_text() == ""  # it was of the other photo


@pytest.mark.parametrize("other", ["own", *SET])
def test_what_was_said_with_another_network_or_another_setting_is_not_shown(onlooker, other):
    onlooker.see("coarse")
    first = drop(onlooker, "a.txt", "b.txt")
    onlooker.hear(lambda: say(onlooker, **found(first, "stoat")))
    assert labels(onlooker) == ["Photo 1 of 2, a.txt: stoat, 42 %", "Photo 2 of 2, b.txt"]
    onlooker.see(other)
    assert labels(onlooker) == ["Photo 1 of 2, a.txt", "Photo 2 of 2, b.txt"]
    onlooker.see("coarse")
    assert labels(onlooker) == ["Photo 1 of 2, a.txt: stoat, 42 %", "Photo 2 of 2, b.txt"]
