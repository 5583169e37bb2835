"""The strip of several photos in a browser, with answers that are made by hand: its ends, its scale, names in it."""

import numpy as np
from gallery import Onlooker
from test_several import THUMBS, drop, found, say

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
