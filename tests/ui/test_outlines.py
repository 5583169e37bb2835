"""From heat to region on the page: a threshold draws contour and box on every card, and the enlarged one says where."""

import cv2
import numpy as np
import pytest
from gallery import TWO, Onlooker

from gradcam_core.pictures.render import resize_heat

MAPS = [heat_map for row in TWO for heat_map in row.maps.values()]
LINES = ".gx-card .gx-lines"


def set_threshold(onlooker: Onlooker, threshold: float, within: str = ".gx-threshold") -> None:
    """Move the slider, and wait until what it draws is drawn."""
    onlooker.page.locator(f"{within} input").fill(str(threshold))
    onlooker.page.evaluate("() => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")


def edge_of(mask: np.ndarray, line: int) -> np.ndarray:
    """The pixels within ``line`` of the mask's edge, up, down or aside."""
    near = cv2.getStructuringElement(cv2.MORPH_CROSS if line == 1 else cv2.MORPH_RECT, (2 * line + 1, 2 * line + 1))
    high, low = (change(mask.astype(np.uint8), near) for change in (cv2.dilate, cv2.erode))
    return high != low


def region_text(heat: np.ndarray, threshold: float) -> str:
    """What the enlarged map says of its regions, by OpenCV, at the photo's own size."""
    height, width = TWO[0].photo.shape[:2]
    mask = (resize_heat(heat, width, height) >= threshold).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    x, y, w, h, pixels = max(stats[1:].tolist(), key=lambda one: one[4])
    box = f"from x {x}, y {y} to x {x + w}, y {y + h}, of {width}×{height} pixels."
    share, largest = (f"{100 * part / mask.size:.2g} %" for part in (mask.sum(), pixels))
    if count == 2:
        return f"One region is as hot: {share} of the photo. Its box goes {box}"
    of_the_largest = f"The largest covers {largest}; its box goes {box}"
    return f"{count - 1} regions are as hot: {share} of the photo. {of_the_largest}"


def test_nothing_is_outlined_until_it_is_asked_for(onlooker):
    onlooker.see("two")
    assert onlooker.page.locator(".gx-lines").count() == 0
    assert onlooker.page.locator(".gx-threshold output").inner_text() == "off"


@pytest.mark.parametrize("threshold", [0.25, 0.6])
def test_the_threshold_outlines_every_card_and_boxes_its_largest_region(onlooker, threshold):
    onlooker.see("two")
    set_threshold(onlooker, threshold)
    assert onlooker.page.locator(".gx-threshold output").inner_text() == f"{threshold:.0%}".replace("%", " %")
    assert onlooker.page.locator(LINES).count() == len(MAPS)
    for card, heat_map in enumerate(MAPS):
        painted = onlooker.colors(card, LINES)
        height, width = painted.shape[:2]
        assert (height, width) == (607, 420)  # finer than the photo of 260 x 180
        mask = resize_heat(heat_map.heat, width, height) >= threshold
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        x, y, w, h, _ = max(stats[1:].tolist(), key=lambda one: one[4])
        near = edge_of(mask, 3)
        cv2.rectangle(box := np.zeros((height, width), np.uint8), (x, y), (x + w, y + h), 1, 7)
        opaque = painted[..., 3] > 0
        assert not (opaque & ~near & (box == 0)).any()  # nothing else is drawn
        assert opaque[edge_of(mask, 1)].all()  # and all of the contour
        cv2.rectangle(line := np.zeros((height, width), np.uint8), (x, y), (x + w, y + h), 1, 1)
        assert opaque[line > 0].all()
    set_threshold(onlooker, 0)
    assert onlooker.page.locator(".gx-lines").count() == 0


def test_the_outline_is_of_the_maps_own_peak_whatever_the_scale_and_as_strong_on_a_pale_map(onlooker):
    onlooker.see("two")
    set_threshold(onlooker, 0.5)
    before = onlooker.colors(0, LINES)
    onlooker.page.get_by_label("shared", exact=True).check()
    onlooker.page.locator("input[name=opacity]").fill("0.1")
    assert (onlooker.colors(0, LINES) == before).all()
    assert onlooker.page.locator(LINES).first.evaluate("one => getComputedStyle(one).opacity") == "1"


def test_an_empty_map_has_no_outline(onlooker):
    onlooker.see("one")
    set_threshold(onlooker, 0.01)
    assert not onlooker.colors(1, LINES).any()
    dialog = onlooker.enlarge(1)
    assert dialog.locator(".gx-region p").inner_text() == "Nothing in this map is as hot."


def test_a_new_answer_is_outlined_as_the_one_before(onlooker):
    onlooker.see("two")
    set_threshold(onlooker, 0.4)
    onlooker.see("one")
    onlooker.page.wait_for_function(f"document.querySelectorAll('{LINES}').length === 3")


@pytest.mark.parametrize(("card", "threshold"), [(0, 0.5), (2, 0.2), (3, 0.7), (5, 0.35)])
def test_the_enlarged_map_says_share_and_box_in_pixels_of_the_photo(onlooker, card, threshold):
    onlooker.see("two")
    set_threshold(onlooker, threshold)
    dialog = onlooker.enlarge(card)
    assert dialog.locator(".gx-region p").inner_text().replace("\u2009", "") == region_text(MAPS[card].heat, threshold)


def test_the_slider_of_the_enlarged_map_and_that_of_the_toolbar_are_one(onlooker):
    onlooker.see("two")
    dialog = onlooker.enlarge(3)
    assert dialog.locator(".gx-region output").inner_text() == "off"
    assert dialog.locator(".gx-region p").inner_text() == ""
    set_threshold(onlooker, 0.3, "dialog .gx-region")
    assert dialog.locator(".gx-lines").count() == 1
    assert onlooker.page.locator(LINES).count() == len(MAPS)
    dialog.get_by_role("button", name="Next layer").click()
    assert dialog.locator(".gx-region p").inner_text().replace("\u2009", "") == region_text(MAPS[4].heat, 0.3)
    slider = dialog.locator(".gx-region input")
    slider.press("ArrowRight")  # its own key, which moves no cell
    onlooker.page.wait_for_function("document.querySelector('dialog .gx-region output').textContent.startsWith('31 %')")
    assert dialog.locator(".gx-readout").inner_text().startswith("Point at")
    assert onlooker.page.locator("input[name=threshold]").input_value() == "0.31"


def test_both_sides_of_the_wipe_have_their_outline(onlooker):
    onlooker.see("two")
    set_threshold(onlooker, 0.5)
    dialog = onlooker.enlarge(0)
    dialog.locator("select").select_option(index=3)
    clips = dialog.locator("canvas").evaluate_all("all => all.map((one) => [one.className, one.style.clipPath])")
    left, right = "inset(0px 50% 0px 0px)", "inset(0px 0px 0px 50%)"
    assert clips == [["", left], ["", right], ["gx-lines", right], ["gx-lines", left]]
    dialog.locator("select").select_option(label="nothing")
    assert dialog.locator(".gx-lines").count() == 1


def test_an_outline_that_is_asked_for_later_ends_at_the_line_between_both_maps(onlooker):
    onlooker.see("two")
    dialog = onlooker.enlarge(0)
    dialog.locator("select").select_option(index=3)
    dialog.locator(".gx-wipe input").fill("30")
    set_threshold(onlooker, 0.5, "dialog .gx-region")
    clips = dialog.locator(".gx-lines").evaluate_all("all => all.map((one) => one.style.clipPath)")
    assert clips == ["inset(0px 70% 0px 0px)", "inset(0px 0px 0px 30%)"]


def test_the_outline_of_an_enlarged_map_is_finer_than_a_small_photo(onlooker):
    onlooker.see("two")
    set_threshold(onlooker, 0.5)
    onlooker.enlarge(4)
    assert onlooker.colors(0, "dialog .gx-lines").shape[:2] == (1479, 1024)  # of a photo of 260 x 180


@pytest.mark.parametrize("mode", ["alpha", "add"])
def test_the_sheet_has_the_outline(onlooker, mode):
    """White between dark, also where colours are added to the photo."""
    onlooker.see("two")
    onlooker.page.evaluate(
        "(mode) => dispatchEvent(new CustomEvent('gradcam-view', { detail: { mode, opacity: 0.9 } }))", mode
    )
    pictures = []
    for threshold in (0, 0.5):
        set_threshold(onlooker, threshold)
        with onlooker.page.expect_download() as download:
            onlooker.page.locator(".gx-sheet").click()
        pictures.append(cv2.imread(str(download.value.path())).astype(int))
    lighter, darker = ((by * (pictures[1] - pictures[0])).max(2) > 60 for by in (1, -1))
    assert not (lighter | darker)[:, :265].any()  # the photo itself
    for changed in (lighter, darker):
        assert all(changed[:, 16 + i * 265 : 265 + i * 265].any() for i in (1, 2, 3))
