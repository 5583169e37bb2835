"""An enlarged map: keys, cells, the step to the next map, and another one beside it. Several rows, nothing square."""

import numpy as np
import pytest
from gallery import SIZE, TWO, Onlooker

from gradcam_core.pictures.render import lookup_table, resize_heat

MAPS = [heat_map for row in TWO for heat_map in row.maps.values()]
NAMES = [
    f"{row.target.name.replace('_', ' ')}, stage {m.layer.stage}, layer {name}"
    for row in TWO
    for name, m in row.maps.items()
]


@pytest.fixture
def enlarged(onlooker):
    """The dialog of the first map of the second row: 7 rows and 5 columns of cells."""
    onlooker.see("two")
    return onlooker.enlarge(3)


def press(onlooker: Onlooker, *keys: str) -> str:
    """Press keys -> what the dialog reads out."""
    for key in keys:
        onlooker.page.keyboard.press(key)
    return onlooker.page.locator("dialog .gx-readout").inner_text()


def cell(index: int, row: int, column: int) -> str:
    """What is read out of a cell of a map, both from 0."""
    heat_map = MAPS[index]
    rows, columns = heat_map.raw.shape
    share = heat_map.heat[row, column]
    return f"Row {row + 1} of {rows}, column {column + 1} of {columns}: {round(100 * share)} % of the peak, evidence "


def assert_shows(picture: np.ndarray, heat: np.ndarray, colormap: str) -> None:
    """The colours are those of the levels, or of a level beside them."""
    height, width = picture.shape[:2]
    level = np.rint(255 * resize_heat(heat, width, height)).astype(int)
    table = lookup_table(colormap).astype(int)
    near = [np.abs(picture - table[np.clip(level + by, 0, 255)]).max(2) for by in (-2, -1, 0, 1, 2)]
    assert np.min(near, axis=0).max() <= 1


# --- the keys ---


def test_arrows_go_from_the_hottest_cell_one_cell_up_down_left_and_right(onlooker, enlarged):
    row, column = map(int, np.unravel_index(MAPS[3].heat.argmax(), MAPS[3].heat.shape))
    assert press(onlooker, "ArrowDown").startswith(cell(3, row, column))
    press(onlooker, *["ArrowUp"] * 7, *["ArrowLeft"] * 5)
    assert press(onlooker).startswith(cell(3, 0, 0))
    assert press(onlooker, "ArrowDown").startswith(cell(3, 1, 0))
    assert press(onlooker, "ArrowDown").startswith(cell(3, 2, 0))
    assert press(onlooker, "ArrowRight").startswith(cell(3, 2, 1))
    assert press(onlooker, "ArrowUp").startswith(cell(3, 1, 1))
    assert press(onlooker, "ArrowLeft").startswith(cell(3, 1, 0))
    assert press(onlooker, *["ArrowDown"] * 9, *["ArrowRight"] * 9).startswith(cell(3, 6, 4))


def test_the_frame_lies_over_the_cell_that_is_read(onlooker, enlarged):
    press(onlooker, *["ArrowUp"] * 8, *["ArrowLeft"] * 6, "ArrowDown", "ArrowDown", "ArrowRight")
    picture, frame = enlarged.locator(".gx-stack").bounding_box(), enlarged.locator(".gx-cell").bounding_box()
    assert frame["x"] - picture["x"] == pytest.approx(picture["width"] / 5, abs=1)
    assert frame["y"] - picture["y"] == pytest.approx(2 * picture["height"] / 7, abs=1)
    assert frame["width"] == pytest.approx(picture["width"] / 5, abs=1)
    assert frame["height"] == pytest.approx(picture["height"] / 7, abs=1)


def test_the_cell_under_the_pointer_is_read(onlooker, enlarged):
    box = enlarged.locator(".gx-stack").bounding_box()
    onlooker.page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.2 * box["height"])
    assert press(onlooker).startswith(cell(3, 1, 4))


def test_the_evidence_of_a_cell_is_its_share_of_the_maps_own_peak(onlooker, enlarged):
    assert press(onlooker, "ArrowRight").endswith(": 100 % of the peak, evidence 16")
    assert press(onlooker, "PageDown", "ArrowRight").endswith(": 100 % of the peak, evidence 8")
    heat = MAPS[5].heat
    row, column = map(int, np.argwhere((heat > 0.05) & (heat < 0.95))[0])
    top, left = map(int, np.unravel_index(heat.argmax(), heat.shape))
    keys = ["ArrowDown" if row > top else "ArrowUp"] * abs(row - top)
    keys += ["ArrowRight" if column > left else "ArrowLeft"] * abs(column - left)
    said = float(press(onlooker, "PageDown", "ArrowUp", *keys).rpartition("evidence ")[2])
    assert said == pytest.approx(heat[row, column] * 12, rel=0.005)


def test_page_keys_go_through_the_maps_of_all_rows_in_order(onlooker, enlarged):
    def where() -> str:
        return enlarged.get_attribute("aria-label")

    assert where() == NAMES[3]
    press(onlooker, "PageUp")
    assert where() == NAMES[2]
    assert enlarged.locator("h2").inner_text() == "tawny owl · stage 3 coarse"
    press(onlooker, "PageDown", "PageDown")
    assert where() == NAMES[4]
    press(onlooker, *["PageDown"] * 4)
    assert where() == NAMES[5]
    assert enlarged.locator(".gx-step").nth(1).is_disabled()
    assert enlarged.locator(".gx-step").nth(0).is_enabled()
    press(onlooker, *["PageUp"] * 7)
    assert where() == NAMES[0]
    assert enlarged.locator(".gx-step").nth(0).is_disabled()
    enlarged.locator(".gx-step").nth(1).click()
    assert where() == NAMES[1]
    enlarged.locator(".gx-step").nth(0).click()
    assert where() == NAMES[0]


def test_after_page_down_the_cells_and_the_picture_are_those_of_the_next_map(onlooker, enlarged):
    press(onlooker, "PageDown")
    row, column = map(int, np.unravel_index(MAPS[4].heat.argmax(), MAPS[4].heat.shape))
    assert press(onlooker, "ArrowUp").startswith(cell(4, row, column))
    assert enlarged.locator(".gx-facts dd").last.inner_text() == "8"
    assert_shows(onlooker.colors(0, "dialog canvas")[..., :3], MAPS[4].heat, "jet")


@pytest.mark.parametrize("keys", [["PageDown"], ["PageUp"], ["PageDown", "PageDown", "PageUp"]], ids=" ".join)
def test_after_page_keys_the_card_that_is_saved_is_the_one_that_is_shown(onlooker, enlarged, keys):
    press(onlooker, *keys)
    by = keys.count("PageDown") - keys.count("PageUp")
    wish = onlooker.hear(enlarged.locator(".gx-save").click)
    row, name = divmod(3 + by, 3)
    assert (wish["target"], wish["layer"]) == (TWO[row].target.index, ["fine", "middle", "coarse"][name])


def test_the_keys_of_the_dialog_do_not_scroll_the_page(onlooker, enlarged):
    """The page behind the dialog is longer than the window."""
    onlooker.page.set_viewport_size({"width": 1280, "height": 500})
    before = onlooker.page.evaluate("scrollY")
    canceled = onlooker.page.evaluate(
        """() => ['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight', 'PageUp', 'PageDown', 'Tab', 'a'].filter((key) => {
            const press = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
            return !document.querySelector('dialog .gx-close').dispatchEvent(press);
        })"""
    )
    assert canceled == ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "PageUp", "PageDown"]
    assert onlooker.page.evaluate("scrollY") == before
    onlooker.page.set_viewport_size(SIZE)


def test_the_focus_stays_in_the_dialog_and_returns_to_the_card_that_was_shown_last(onlooker, enlarged):
    focus = "document.activeElement.getAttribute('aria-label')"
    assert onlooker.page.evaluate(focus) == "Close"
    press(onlooker, "PageDown")
    assert onlooker.page.evaluate(focus) == "Next layer (Page Down)"
    press(onlooker, "PageDown")  # the last one: there is no next
    assert onlooker.page.evaluate(focus) == "Close"
    press(onlooker, "PageUp")
    assert onlooker.page.evaluate(focus) == "Previous layer (Page Up)"
    onlooker.page.keyboard.press("Escape")
    enlarged.wait_for(state="detached")
    onlooker.page.wait_for_function(f"{focus} === 'Enlarge {NAMES[4]}'")


def test_the_cross_and_a_click_beside_the_dialog_close_it_and_one_in_it_does_not(onlooker, enlarged):
    enlarged.locator(".gx-stack").click()
    assert enlarged.count() == 1
    enlarged.locator(".gx-close").click()
    enlarged.wait_for(state="detached")
    box = onlooker.enlarge(3).bounding_box()
    onlooker.page.mouse.click(box["x"] / 2, box["y"] + box["height"] / 2)
    enlarged.wait_for(state="detached")


@pytest.mark.parametrize("card", [0, 2, 5])
def test_the_dialog_lies_over_its_card_and_inside_the_window(onlooker, card):
    onlooker.see("two")
    below = onlooker.page.locator(".gx-card").nth(card).bounding_box()
    box = onlooker.enlarge(card).bounding_box()
    over = below["y"] + below["height"] / 2 - box["height"] / 2
    assert box["y"] == pytest.approx(max(8, min(over, SIZE["height"] - 8 - box["height"])), abs=2)


def test_a_new_answer_closes_the_dialog(onlooker, enlarged):
    onlooker.page.evaluate("document.querySelector('#show-one').click()")  # behind the dialog
    onlooker.now = "one"
    enlarged.wait_for(state="detached")
    onlooker.wait_for_title("tawny owl")


def test_one_class_alone_is_not_named_on_each_map(onlooker):
    onlooker.see("one")
    dialog = onlooker.enlarge(1)
    assert dialog.get_attribute("aria-label") == "stage 2, layer middle"
    assert dialog.locator("h2").inner_text() == "stage 2 middle"
    assert dialog.locator(".gx-why").inner_text().startswith("Nothing in this layer speaks for “tawny owl”")


# --- two maps on one photo ---


def test_the_wipe_offers_the_other_maps_and_the_photo(onlooker, enlarged):
    options = enlarged.locator("option").all_inner_texts()
    assert options == ["nothing", "the photo alone", *(name for name in NAMES if name != NAMES[3])]
    assert enlarged.locator(".gx-sides").is_hidden()
    assert enlarged.locator(".gx-line").is_hidden()


@pytest.mark.parametrize("other", [0, 2, 5])
def test_the_wipe_shows_the_chosen_map_on_the_right_and_names_both(onlooker, enlarged, other):
    enlarged.locator("select").select_option(label=NAMES[other])
    assert_shows(onlooker.colors(0, "dialog canvas")[..., :3], MAPS[3].heat, "jet")
    assert_shows(onlooker.colors(1, "dialog canvas")[..., :3], MAPS[other].heat, "jet")
    assert enlarged.locator(".gx-sides span").all_inner_texts() == [f"◂ {NAMES[3]}", f"{NAMES[other]} ▸"]
    enlarged.locator(".gx-wipe input").fill("30")
    clips = enlarged.locator("canvas").evaluate_all("all => all.map((one) => one.style.clipPath)")
    assert clips == ["inset(0px 70% 0px 0px)", "inset(0px 0px 0px 30%)"]
    assert enlarged.locator(".gx-line").evaluate("line => line.style.left") == "30%"


def test_the_wipe_of_another_map_takes_the_one_before_away(onlooker, enlarged):
    for name in (NAMES[0], NAMES[5]):
        enlarged.locator("select").select_option(label=name)
    assert enlarged.locator("canvas").count() == 2
    assert_shows(onlooker.colors(1, "dialog canvas")[..., :3], MAPS[5].heat, "jet")


def test_the_photo_alone_lies_beside_the_map_without_colours(onlooker, enlarged):
    enlarged.locator("select").select_option(label="the photo alone")
    assert enlarged.locator("canvas").count() == 1
    assert enlarged.locator(".gx-sides span").all_inner_texts() == [f"◂ {NAMES[3]}", "the photo alone ▸"]
    assert enlarged.locator("canvas").evaluate("one => one.style.clipPath") == "inset(0px 50% 0px 0px)"
    enlarged.locator("select").select_option(label="nothing")
    assert enlarged.locator("canvas").evaluate("one => one.style.clipPath") == ""
    assert enlarged.locator(".gx-sides").is_hidden()


def test_both_sides_of_the_wipe_are_on_the_scale_that_is_set(onlooker):
    onlooker.see("two")
    onlooker.page.get_by_label("shared", exact=True).check()
    onlooker.page.locator(".gx-colormaps label", has_text="viridis").click()
    dialog = onlooker.enlarge(2)
    dialog.locator("select").select_option(label=NAMES[4])
    assert_shows(onlooker.colors(0, "dialog canvas")[..., :3], MAPS[2].scaled(16.0), "viridis")
    assert_shows(onlooker.colors(1, "dialog canvas")[..., :3], MAPS[4].scaled(16.0), "viridis")


def test_the_arrows_move_the_line_while_it_has_the_focus_and_no_cell(onlooker, enlarged):
    enlarged.locator("select").select_option(label=NAMES[0])
    line = enlarged.locator(".gx-wipe input")
    line.focus()
    said = press(onlooker, "ArrowRight")
    assert float(line.input_value()) == 50.5
    assert said.startswith("Point at the picture")
    press(onlooker, "PageDown")
    assert enlarged.get_attribute("aria-label") == NAMES[3]


def test_the_line_follows_the_pointer_only_while_it_is_pressed(onlooker, enlarged):
    enlarged.locator("select").select_option(label=NAMES[0])
    box = enlarged.locator(".gx-stack").bounding_box()
    line = enlarged.locator(".gx-wipe input")
    onlooker.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 30)
    assert float(line.input_value()) == 50
    onlooker.page.mouse.down()
    onlooker.page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 30)
    onlooker.page.mouse.up()
    assert float(line.input_value()) == pytest.approx(75, abs=1)
