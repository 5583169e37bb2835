"""The grid in a browser, with answers that are made by hand: several classes, peaks that differ, a portrait."""

import numpy as np
import pytest
from gallery import SIZE, TWO, Onlooker

import gradcam_core as gc
from gradcam_core.pictures.render import lookup_table, resize_heat

# An image of the same address that is asked for later is ready later.
AFTER_LOADING = """(url) => new Promise((then) => {
    const photo = new Image();
    photo.onload = () => setTimeout(then);
    photo.src = url;
})"""


def greys(onlooker: Onlooker) -> list[np.ndarray]:
    """The levels that the cards show, 0 to 255."""
    onlooker.page.locator(".gx-colormaps label", has_text="grey").click()
    return [onlooker.colors(i)[..., 0].astype(float) for i in range(len(onlooker.layers()))]


def maps_of(rows: list[gc.Explanation]) -> list[gc.HeatMap]:
    return [heat_map for row in rows for heat_map in row.maps.values()]


def assert_painted(levels: np.ndarray, heat: np.ndarray) -> None:
    assert np.abs(levels - 255 * resize_heat(heat, *levels.shape[::-1])).max() <= 2


# --- what the cards show ---


def test_each_card_shows_its_own_map_upright(onlooker):
    onlooker.see("two")
    for levels, heat_map in zip(greys(onlooker), maps_of(TWO), strict=True):
        assert levels.shape == (260, 180)
        assert_painted(levels, heat_map.heat)


def test_the_shared_scale_is_that_of_all_rows(onlooker):
    onlooker.see("two")
    onlooker.page.get_by_label("shared", exact=True).check()
    for levels, heat_map in zip(greys(onlooker), maps_of(TWO), strict=True):
        assert_painted(levels, heat_map.scaled(16.0))
    onlooker.page.get_by_label("each map", exact=True).check()
    for levels, heat_map in zip(greys(onlooker), maps_of(TWO), strict=True):
        assert_painted(levels, heat_map.heat)


def test_on_a_shared_scale_without_any_evidence_nothing_is_hot(onlooker):
    onlooker.see("held")
    onlooker.page.get_by_label("shared", exact=True).check()
    for card in range(2):
        assert (onlooker.colors(card)[..., :3] == lookup_table("jet")[0]).all()


def test_a_card_that_comes_into_sight_has_what_was_set_meanwhile(onlooker):
    onlooker.see("two")
    last = "document.querySelectorAll('.gx-card')[5].isNear"
    onlooker.page.set_viewport_size({"width": 1280, "height": 200})
    onlooker.page.wait_for_function(f"!{last}")
    onlooker.page.locator(".gx-colormaps label", has_text="grey").click()
    onlooker.page.locator(".gx-threshold input").fill("0.5")
    onlooker.page.set_viewport_size(SIZE)
    onlooker.page.wait_for_function(last)
    assert_painted(
        onlooker.colors(5, ".gx-card canvas:not(.gx-lines)")[..., 0].astype(float), TWO[1].maps["coarse"].heat
    )
    assert onlooker.page.locator(".gx-card").nth(5).locator(".gx-lines").count() == 1


def test_a_card_says_size_cell_and_peak_of_its_map(onlooker):
    onlooker.see("one")
    said = [text.replace("\u2009", "").split() for text in onlooker.page.locator(".gx-facts").all_inner_texts()]
    assert said[0] == ["size", "7×5×8", "cell", "37×36", "px", "peak", "2"]
    assert said[2] == ["size", "3×2×8", "cell", "87×90", "px", "peak", "4"]
    assert onlooker.page.locator(".gx-stage").all_inner_texts() == ["stage 1", "stage 2", "stage 3"]
    onlooker.see("share")
    (said,) = onlooker.page.locator(".gx-facts").all_inner_texts()
    assert said.replace("\u2009", "").split() == ["size", "104×45×8", "cell", "2.5×4.0", "px", "peak", "1"]


def test_cards_share_a_line_three_to_six_of_them(onlooker):
    def line() -> tuple[int, float]:
        boxes = [card.bounding_box() for card in onlooker.page.locator(".gx-row").first.locator(".gx-card").all()]
        return sum(box["y"] == boxes[0]["y"] for box in boxes), boxes[0]["width"]

    onlooker.see("one")
    width = onlooker.page.locator(".gx-cards").first.bounding_box()["width"]
    assert line() == (3, pytest.approx((width - 2 * 12) / 3, abs=1))
    onlooker.see("coarse")
    assert line() == (1, pytest.approx((width - 2 * 12) / 3, abs=1))
    onlooker.show("many")
    onlooker.wait_for_title("tawny owl, newt")
    assert line() == (6, pytest.approx((width - 5 * 12) / 6, abs=1))


def test_an_empty_map_says_for_which_class_and_rather_than_which(onlooker):
    onlooker.see("one")
    (why,) = onlooker.page.locator(".gx-why").all_inner_texts()
    assert why.startswith("Nothing in this layer speaks for “tawny owl” in this photo")
    assert onlooker.page.locator(".gx-card").evaluate_all("all => all.map((one) => one.className)") == [
        "gx-card",
        "gx-card is-empty",
        "gx-card",
    ]
    onlooker.see("held")
    owl, lynx = onlooker.page.locator(".gx-why").all_inner_texts()
    assert owl.startswith("Nothing in this layer speaks for “tawny owl” rather than “newt” in this photo")
    assert lynx.startswith("Nothing in this layer speaks for “lynx” rather than “newt” in this photo")
    onlooker.see("against")
    (why,) = onlooker.page.locator(".gx-rows .gx-why").all_inner_texts()
    assert why.startswith("Nothing in this layer speaks against “tawny owl” in this photo")


def test_each_row_says_of_which_class_it_is_to_those_who_do_not_see_it(onlooker):
    def rows() -> list[str]:
        return onlooker.page.locator(".gx-rows .gx-cards").evaluate_all("all => all.map((one) => one.ariaLabel)")

    onlooker.see("two")
    assert rows() == [f"Heat maps for {name}, from shallow to deep" for name in ("tawny owl", "lynx")]
    onlooker.see("against")
    assert rows() == ["Heat maps against tawny owl, from shallow to deep"]


def test_shallow_and_deep_are_said_where_there_is_more_than_one_layer(onlooker):
    words = onlooker.page.locator(".gx-direction > span").first
    for answer, is_said in (("one", True), ("coarse", False), ("two", True), ("held", False)):
        onlooker.see(answer)
        assert words.is_visible() == is_said, answer


def test_a_bar_is_as_long_as_its_class_is_probable_and_a_value_has_none(onlooker):
    def bars() -> list[tuple[float, str]]:
        found = onlooker.page.locator(".gx-guess").evaluate_all(
            """(all) => all.map((one) => {
                const bar = one.querySelector('.gx-bar');
                const share = parseFloat(getComputedStyle(bar, '::before').width) / bar.clientWidth;
                const isSeen = getComputedStyle(bar).visibility === 'visible';
                return [isSeen ? share : null, one.querySelector('.gx-percent').textContent];
            })"""
        )
        return [tuple(bar) for bar in found]

    onlooker.see("one")
    assert bars() == [(pytest.approx(0.62, abs=0.01), "62 %"), (pytest.approx(0.042, abs=0.01), "4.2 %")]
    onlooker.see("share")
    assert bars() == [(pytest.approx(0.4, abs=0.01), "40 %")]
    onlooker.see("value")
    assert bars() == [(None, "30.5")]
    assert "handmade gives age, 30.5." in onlooker.page.locator(".gx > .gx-status").inner_text()


def test_the_classes_are_listed_with_those_beside_and_their_probabilities(onlooker):
    onlooker.see("two")
    guesses = onlooker.page.locator(".gx-guesses li")
    assert guesses.locator(".gx-guess-name").all_inner_texts() == ["tawny owl", "newt", "lynx"]
    assert guesses.locator(".gx-percent").all_inner_texts() == ["62 %", "4.2 %", "<0.1 %"]
    assert guesses.locator(".gx-beside").all_text_contents() == ["+", "+", "−"]
    pressed = onlooker.page.locator(".gx-guess").evaluate_all("all => all.map((one) => one.ariaPressed)")
    assert pressed == ["true", "false", "false"]
    assert onlooker.page.locator(".gx-class").all_inner_texts() == ["tawny owl\n62 %", "lynx\n<0.1 %"]
    status = onlooker.page.locator(".gx > .gx-status").inner_text()
    assert status == "6 heat maps for tawny owl, lynx. handmade takes the photo for tawny owl, 62 %."


# --- the colour bar ---


def bar(onlooker: Onlooker, within: str) -> tuple[str, list[str]]:
    """What the colour bar is of, and its numbers."""
    found = onlooker.page.locator(f"{within} .gx-colorbar")
    return found.locator(".gx-label").inner_text(), found.locator(".gx-numbers span").all_inner_texts()


def test_the_colour_bar_has_shares_of_the_peak_or_the_evidence_that_all_maps_are_shown_up_to(onlooker):
    onlooker.see("two")
    assert bar(onlooker, ".gx-bar-of-all") == ("share of each map’s peak", ["0 %", "25 %", "50 %", "75 %", "100 %"])
    onlooker.page.get_by_label("shared", exact=True).check()
    assert bar(onlooker, ".gx-bar-of-all") == ("evidence", ["0", "4", "8", "12", "16"])
    onlooker.see("one")
    assert bar(onlooker, ".gx-bar-of-all") == ("evidence", ["0", "1", "2", "3", "4"])
    onlooker.see("held")
    assert bar(onlooker, ".gx-bar-of-all") == ("evidence", ["0"])


def test_the_colour_bar_of_an_enlarged_map_has_its_evidence_or_that_of_the_scale(onlooker):
    onlooker.see("two")
    onlooker.enlarge(1)
    assert bar(onlooker, "dialog") == ("evidence", ["0", "0.25", "0.5", "0.75", "1"])
    onlooker.page.keyboard.press("PageDown")
    assert bar(onlooker, "dialog") == ("evidence", ["0", "1", "2", "3", "4"])
    onlooker.page.keyboard.press("Escape")
    onlooker.page.get_by_label("shared", exact=True).check()
    onlooker.enlarge(1)
    assert bar(onlooker, "dialog") == ("evidence", ["0", "4", "8", "12", "16"])
    onlooker.page.keyboard.press("Escape")
    onlooker.page.evaluate("dispatchEvent(new CustomEvent('gradcam-view', { detail: { fusion: 'maximum' } }))")
    onlooker.enlarge(3)  # of all layers: it has no evidence of its own, on whatever scale
    assert bar(onlooker, "dialog") == ("share of each layer’s peak", ["0 %", "25 %", "50 %", "75 %", "100 %"])


def test_the_colour_bar_has_the_colours_that_are_set(onlooker):
    onlooker.see("two")
    for name in ("turbo", "grey"):
        onlooker.page.locator(".gx-colormaps label", has_text=name).click()
        painted = onlooker.page.locator(".gx-bar-of-all .gx-colors").evaluate("one => one.style.backgroundImage")
        table = lookup_table(name)
        stops = [table[round(255 * i / 32)] for i in range(33)]
        assert painted == f"linear-gradient(to right, {', '.join('rgb({}, {}, {})'.format(*stop) for stop in stops)})"


# --- what a click asks for ---


def test_a_click_on_a_class_asks_for_that_class(onlooker):
    onlooker.see("two")
    bars, beside = onlooker.page.locator(".gx-guess"), onlooker.page.locator(".gx-beside")
    assert onlooker.hear(bars.nth(1).click) == {"index": 11}
    assert onlooker.hear(bars.nth(2).click) == {"index": 3}
    assert onlooker.hear(beside.nth(1).click) == {"index": 11, "beside": True}
    assert onlooker.hear(beside.nth(2).click) == {"index": 3, "beside": True}
    assert beside.nth(0).is_disabled()


@pytest.mark.parametrize(
    ("card", "target", "layer"), [(0, 7, "fine"), (2, 7, "coarse"), (3, 3, "fine"), (4, 3, "middle")]
)
def test_the_card_that_is_saved_is_the_one_that_was_clicked(onlooker, card, target, layer):
    onlooker.see("two")
    onlooker.page.locator("input[name=opacity]").fill("0.7")
    onlooker.page.locator(".gx-colormaps label", has_text="magma").click()
    onlooker.page.get_by_label("shared", exact=True).check()
    view = {"opacity": 0.7, "colormap": "magma", "scale": "shared", "threshold": 0, "mode": "alpha", "fusion": "none"}
    wish = onlooker.hear(onlooker.page.locator(".gx-card .gx-save").nth(card).click)
    assert wish == {"what": "card", "target": target, "layer": layer, **view}
    onlooker.enlarge(card)
    assert onlooker.hear(onlooker.page.locator("dialog .gx-save").click) == wish


def test_everything_is_saved_as_it_is_shown(onlooker):
    onlooker.see("two")
    onlooker.page.locator("input[name=opacity]").fill("0.15")
    wish = onlooker.hear(onlooker.page.locator(".gx-all").click)
    view = {"opacity": 0.15, "colormap": "jet", "scale": "each", "threshold": 0, "mode": "alpha", "fusion": "none"}
    assert wish == {"what": "everything", **view}


# --- answers that come late ---


def hold_first_photo(onlooker: Onlooker) -> list:
    """The first photo that is asked for does not come until the test lets it."""
    held = []
    onlooker.page.route("**/photo.jpg", lambda route: route.continue_() if held else held.append(route))
    return held


def test_an_answer_that_comes_late_never_replaces_a_newer_one(onlooker):
    """The photo of the first takes long; the second is shown; then the first one's photo comes."""
    onlooker.see("two")
    held = hold_first_photo(onlooker)
    with onlooker.page.expect_request("**/photo.jpg"):
        onlooker.show("late")
    onlooker.see("one")
    with onlooker.page.expect_request_finished(lambda request: request == held[0].request):
        held[0].continue_()
    onlooker.page.unroute("**/photo.jpg")
    onlooker.page.evaluate(AFTER_LOADING, held[0].request.url)
    assert onlooker.title() == "Evidence for tawny owl"
    assert onlooker.page.evaluate("document.querySelector('.gx-card img').naturalWidth") == 180


def test_a_photo_that_fails_late_is_not_mourned_when_another_is_shown(onlooker):
    onlooker.see("two")
    held = hold_first_photo(onlooker)
    with onlooker.page.expect_request("**/photo.jpg"):
        onlooker.show("lost")
    onlooker.see("one")
    with onlooker.page.expect_event("requestfailed"):
        held[0].abort()
    onlooker.page.unroute("**/photo.jpg")
    onlooker.page.evaluate("() => new Promise((then) => requestAnimationFrame(() => setTimeout(then)))")
    assert onlooker.page.locator(".gx > .gx-status").inner_text().startswith("3 heat maps")
    onlooker.complaints.clear()  # the browser's own, of the photo that failed


def test_a_photo_that_cannot_be_loaded_is_said_and_what_was_shown_stays(onlooker):
    onlooker.see("two")
    onlooker.page.route("**/photo.jpg", lambda route: route.abort())
    onlooker.show("lost")
    onlooker.page.locator(".gx > .gx-status", has_text="The photo could not be loaded.").wait_for(state="attached")
    onlooker.page.unroute("**/photo.jpg")
    assert onlooker.title() == "Evidence for tawny owl, lynx"
    onlooker.complaints.clear()


def test_a_photo_that_is_taken_away_leaves_nothing_and_one_that_is_replaced_does_not_flicker(onlooker):
    onlooker.see("two")
    onlooker.page.evaluate(
        """() => {
            window.empty = 0;
            new MutationObserver(() => { empty += !document.querySelector('.gx-empty').hidden; })
                .observe(document.querySelector('.gx-empty'), { attributes: true });
            const before = setTimeout, held = window.held = []; // the page's own wait ends after the next answer
            window.setTimeout = (then, ms, ...more) => (ms > 300 ? held.push(then) : before(then, ms, ...more));
            window.letGo = () => { window.setTimeout = before; held.forEach((then) => then()); };
        }"""
    )
    try:
        onlooker.show("none")
        onlooker.page.wait_for_function("held.length")
        onlooker.see("one")
    finally:
        onlooker.page.evaluate("letGo()")
    onlooker.page.evaluate("() => new Promise((then) => setTimeout(then))")  # what looks is told
    assert onlooker.page.evaluate("empty") == 0
    assert onlooker.title() == "Evidence for tawny owl"
    onlooker.show("none")
    onlooker.page.locator(".gx-empty").wait_for()
    assert onlooker.layers() == []
    assert onlooker.page.locator(".gx > .gx-status").inner_text() == ""
