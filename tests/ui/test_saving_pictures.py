"""What a visitor takes away is what is shown: the class, the map, the colours, the opacity and the scale."""

import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from gallery import HELD, LYNX, MANY, NEWT, ONE, OWL, TWO, Onlooker, explanation
from PIL import Image
from tiny_networks import deep_network

import gradcam_core as gc
from gradcam_core.pictures.colorbar import with_colorbar
from gradcam_core.pictures.render import lookup_table
from ui.choices import Networks
from ui.downloads import Style, card, everything, raw_maps
from ui.showing import Shown
from ui.visit import Steps

STYLE = Style(0.7, "magma", "shared")
HIGHEST = 16.0  # of TWO, in its second row


def picture(path: str) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


# --- a card ---


@pytest.mark.parametrize("layer", ["fine", "coarse"])
@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("style", [Style(), STYLE, Style(1.0, "grey", "shared")], ids=str)
def test_a_saved_card_is_the_row_and_the_layer_that_were_asked_for(tmp_path, row, layer, style):
    saved = picture(card(TWO, TWO[row].target.index, layer, style, str(tmp_path)))
    heat = TWO[row].maps[layer].scaled(None if style.scale == "each" else HIGHEST)
    highest = None if style.scale == "each" else HIGHEST
    plain = gc.overlay(TWO[row].photo, heat, style.opacity, style.colormap)
    np.testing.assert_array_equal(saved, with_colorbar(plain, style.colormap, highest))


@pytest.mark.parametrize("row", [0, 1])  # the peak of the first is not the one that both are painted up to
@pytest.mark.parametrize("threshold", [0.3, 0.8])
def test_a_saved_card_has_the_outline_and_the_box_of_the_largest_region(tmp_path, threshold, row):
    plain = picture(card(TWO, TWO[row].target.index, "fine", STYLE, str(tmp_path)))
    drawn = picture(card(TWO, TWO[row].target.index, "fine", replace(STYLE, threshold=threshold), str(tmp_path)))
    heat_map = TWO[row].maps["fine"]
    height, width = TWO[row].photo.shape[:2]  # the rest is the colour bar
    plain, drawn = plain[:height, :width], drawn[:height, :width]
    mask = heat_map.mask(threshold, (height, width))
    box = heat_map.boxes(threshold, (height, width))[0]
    outside = np.pad(mask, 1).astype(np.uint8)  # a region that reaches the photo's edge is closed there
    edge = cv2.morphologyEx(outside, cv2.MORPH_GRADIENT, np.ones((9, 9), np.uint8))[1:-1, 1:-1] > 0
    edge[box.y0 : box.y1, box.x0 : box.x1] = True  # its sides, and its share of the photo within
    edge = cv2.dilate(edge.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    changed = np.abs(drawn - plain).max(2) > 0
    assert not changed[~edge].any()
    assert changed[box.y0, box.x0 : box.x1].all()
    assert changed[box.y0 : box.y1, box.x1 - 1].all()


def test_the_zip_has_the_boxes_of_every_layer_where_they_are_outlined(tmp_path):
    found = entries(everything(TWO, replace(STYLE, threshold=0.5), str(tmp_path)))
    for row, folder in ((TWO[0], "007-tawny_owl"), (TWO[1], "003-lynx")):
        boxes = json.loads(found[f"{folder}/boxes.json"])["annotations"]
        expected = [box for heat_map in row.maps.values() for box in heat_map.boxes(0.5, row.photo.shape[:2])]
        assert [box["bbox"] for box in boxes] == [[b.x0, b.y0, b.x1 - b.x0, b.y1 - b.y0] for b in expected]
    assert not any(name.endswith("boxes.json") for name in entries(everything(TWO, STYLE, str(tmp_path))))


def test_a_saved_card_is_named_by_its_class_and_layer(tmp_path):
    assert card(TWO, LYNX.index, "fine", STYLE, str(tmp_path)).endswith("/gradcam-lynx-fine.png")
    wild = [explanation(gc.Prediction(0, None, "../../a b/<i>", 0.5), {"block/conv": 1.0})]
    path = card(wild, 0, "block/conv", STYLE, str(tmp_path))
    assert Path(path).resolve().parents[1] == tmp_path.resolve()  # in a folder that is named by its content
    assert re.fullmatch(r"gradcam-[\w.-]*a_b_i_-block_conv\.png", Path(path).name)


@pytest.mark.parametrize(
    ("target", "layer"), [(NEWT.index, "fine"), (OWL.index, "middel"), (None, "fine"), (7, None), (7, 2)]
)
def test_a_card_that_is_not_shown_is_refused(tmp_path, target, layer):
    with pytest.raises(gc.LayerError, match="no longer shown"):
        card(TWO, target, layer, STYLE, str(tmp_path))


@pytest.mark.parametrize(
    "wish",
    [
        {"opacity": 1.1},
        {"opacity": "0.5"},
        {"colormap": "rainbow"},
        {"colormap": 3},
        {"scale": "both"},
        {"scale": 1},
        {"threshold": 1.5},
    ],
)
def test_a_style_that_is_not_offered_is_refused(tmp_path, wish):
    with pytest.raises(gc.SettingError):
        card(TWO, OWL.index, "fine", Style.of(wish), str(tmp_path))


# --- everything ---


def entries(path: str) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


@pytest.mark.parametrize("style", [Style(), STYLE], ids=str)
def test_the_zip_holds_each_class_as_it_is_shown(tmp_path, style):
    path = everything(TWO, style, str(tmp_path))
    assert path.endswith("/gradcam-handmade-tawny_owl.zip")
    found = entries(path)
    highest = None if style.scale == "each" else HIGHEST
    assert {name.split("/")[0] for name in found} == {"007-tawny_owl", "003-lynx"}
    for row, folder in zip(TWO, ("007-tawny_owl", "003-lynx"), strict=True):
        row.save(tmp_path / folder, opacity=style.opacity, colormap=style.colormap, highest=highest, colorbar=True)
        expected = {f"{folder}/{file.name}": file.read_bytes() for file in (tmp_path / folder).iterdir()}
        same = {name: content for name, content in found.items() if name.startswith(f"{folder}/")}
        assert set(same) == set(expected)
        for name, content in expected.items():
            if name.endswith((".jpg", ".png", ".json")):
                assert same[name] == content, name
        with np.load(io.BytesIO(same[f"{folder}/maps.npz"])) as maps:
            assert maps.files == list(row.maps)
            assert all((maps[name] == heat_map.raw).all() for name, heat_map in row.maps.items())
        display = json.loads(same[f"{folder}/manifest.json"])["display"]
        assert (display["opacity"], display["colormap"], display["highest"]) == (style.opacity, style.colormap, highest)


def test_everything_is_added_fused_and_outlined_as_it_is_shown(tmp_path):
    style = Style(0.6, "viridis", threshold=0.4, mode="add", fusion="product")
    found = entries(everything(ONE, style, str(tmp_path)))
    look = {"opacity": 0.6, "colormap": "viridis", "mode": "add"}
    ONE[0].save(tmp_path / "own", **look, fusion="product", colorbar=True, boxes=0.4)
    expected = {file.name: file.read_bytes() for file in (tmp_path / "own").iterdir() if file.suffix != ".npz"}
    assert {"boxes.json", "fused_product.jpg", "manifest.json"} < set(expected)
    assert expected.items() <= {name.rpartition("/")[2]: content for name, content in found.items()}.items()


def test_the_same_answer_is_stored_once_and_another_style_apart(tmp_path):
    first = everything(ONE, STYLE, str(tmp_path))
    assert everything(ONE, STYLE, str(tmp_path)) == first
    assert everything(ONE, Style(), str(tmp_path)) != first


def test_raw_maps_are_signed(tmp_path):
    with np.load(io.BytesIO(raw_maps(HELD[0]))) as maps:
        assert (maps["coarse"] == HELD[0].maps["coarse"].raw).all()
        assert maps["coarse"].min() < 0


# --- the page asks for it ---


def test_the_page_saves_what_is_shown_for_the_class_that_was_clicked(tmp_path):
    """Of two rows, by another method, held against a class, with layers of the visitor's own choice."""
    network = deep_network()
    steps = Steps(Networks(started=network), str(tmp_path / "cache"))
    noise = np.random.default_rng(4).integers(0, 256, (50, 34, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), noise)
    shown = Shown("deep", str(tmp_path / "photo.png"), 2, (3,), ("conv1", "add2"), "layercam", 0)
    wish = {"what": "card", "target": 3, "layer": "add2", "opacity": 0.55, "colormap": "viridis", "scale": "shared"}
    expected = gc.explain_classes(
        network, shown.photo, [2, 3], list(shown.layers), method="layercam", instead_of=shown.instead_of
    )
    highest = max(heat_map.peak for row in expected for heat_map in row.maps.values())
    wanted = gc.overlay(noise[..., ::-1].copy(), expected[1].maps["add2"].scaled(highest), 0.55, "viridis")
    saved = picture(steps.take(gr.EventData(None, wish), shown))
    assert saved.shape == (50 + 40, 220, 3)  # over a colour bar
    assert np.abs(saved[:50, :34] - wanted).max() <= 2
    found = entries(steps.take(gr.EventData(None, {**wish, "what": "everything"}), shown))
    for folder, row in (("002-class_2", expected[0]), ("003-class_3", expected[1])):
        said = json.loads(found[f"{folder}/manifest.json"])
        assert said["display"] == {
            "opacity": 0.55,
            "colormap": "viridis",
            "mode": "alpha",
            "highest": pytest.approx(highest),
        }
        assert [entry["layer"] for entry in said["maps"]] == list(row.maps)
        assert (said["method"], said["instead_of"]["index"]) == ("layercam", 0)
    with pytest.raises(gr.Error, match="no longer shown"):
        steps.take(gr.EventData(None, {**wish, "layer": "relu2"}), shown)
    with pytest.raises(gr.Error, match="There is no photo"):
        steps.take(gr.EventData(None, wish), Shown("deep"))


# --- the sheet, which the browser makes ---


WRITTEN = """() => {
    window.written = [];
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
        if (this.canvas.width > 700) written.push([text, x, y]);
        return write.call(this, text, x, y, ...more);
    };
}"""
GAP, LABEL, TITLE, LEGEND, WIDTH, HEIGHT = 16, 26, 44, 50, 249, 360  # the sheet's own, for a photo of 180 x 260


def sheet(onlooker: Onlooker) -> tuple[str, np.ndarray, list]:
    """The file's name, its pixels, and what is written on it and where."""
    onlooker.page.evaluate("window.written === undefined && (" + WRITTEN + ")()")
    onlooker.page.evaluate("written.length = 0")
    with onlooker.page.expect_download() as download:
        onlooker.page.locator(".gx-sheet").click()
    saved = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    return download.value.suggested_filename, saved, onlooker.page.evaluate("written")


def tile(saved: np.ndarray, row: int, column: int) -> np.ndarray:
    top = row * (TITLE + HEIGHT + LABEL + GAP) + TITLE
    left = GAP + column * (WIDTH + GAP)
    return saved[top : top + HEIGHT, left : left + WIDTH]


def enlarged(photo: np.ndarray) -> np.ndarray:
    return cv2.resize(photo, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR).astype(int)


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """The browser enlarges with a filter of its own: nearly everywhere the same, within a few levels."""
    assert found.shape == expected.shape
    assert np.quantile(np.abs(found - expected), 0.98) <= 6


@pytest.mark.parametrize(
    ("opacity", "colormap", "scale"), [(0.4, "jet", "each"), (0.75, "viridis", "shared"), (0.0, "jet", "each")]
)
def test_the_sheet_has_the_opacity_the_colours_and_the_scale_that_are_set(onlooker, opacity, colormap, scale):
    onlooker.see("two")
    onlooker.page.locator("input[name=opacity]").fill(str(opacity))
    onlooker.page.locator(".gx-colormaps label", has_text=colormap).click()
    onlooker.page.locator(f"[name=scale][value={scale}]").check()
    _, saved, _ = sheet(onlooker)
    for row, answer in enumerate(TWO):
        assert_alike(tile(saved, row, 0), enlarged(answer.photo))
        for column, heat_map in enumerate(answer.maps.values(), 1):
            heat = heat_map.scaled(HIGHEST if scale == "shared" else None)
            assert_alike(tile(saved, row, column), enlarged(gc.overlay(answer.photo, heat, opacity, colormap)))


def test_the_sheet_names_the_network_the_class_of_each_row_and_every_layer(onlooker):
    onlooker.see("two")
    name, saved, written = sheet(onlooker)
    assert name == "gradcam-handmade-tawny_owl.png"
    rows = [("handmade: tawny owl, 62 %", 0), ("handmade: lynx, <0.1 %", TITLE + HEIGHT + LABEL + GAP)]
    expected = []
    for title, top in rows:
        expected.append([title, GAP, top + 28])
        for column, label in enumerate(("photo", "fine", "middle", "coarse")):
            expected.append([label, GAP + column * (WIDTH + GAP), top + TITLE + HEIGHT + 18])
    assert written[: len(expected)] == expected
    assert saved.shape[1] == GAP + 4 * (WIDTH + GAP)
    assert saved.shape[0] == 2 * (TITLE + HEIGHT + LABEL + GAP) + LEGEND


def test_the_sheet_of_many_layers_goes_on_below(onlooker):
    """Six pictures stand beside one another: of a photo and eight layers three are in a second line, for each class."""
    onlooker.show("many")  # not all of them are near the screen and painted
    onlooker.wait_for_title("tawny owl, newt")
    _, saved, written = sheet(onlooker)
    line = HEIGHT + LABEL + GAP
    assert saved.shape == (2 * (TITLE + 2 * line) + LEGEND, GAP + 6 * (WIDTH + GAP), 3)
    for row, answer in enumerate(MANY):
        for number, (name, heat_map) in enumerate(answer.maps.items(), 1):
            below, column = divmod(number, 6)
            left, top = GAP + column * (WIDTH + GAP), row * (TITLE + 2 * line) + TITLE + below * line
            assert [name, left, top + HEIGHT + 18] in written
            found = saved[top : top + HEIGHT, left : left + WIDTH]
            assert_alike(found, enlarged(gc.overlay(answer.photo, heat_map.heat, 0.4, "jet")))


@pytest.mark.parametrize(
    ("scale", "numbers"),
    [
        ("each", ["0 %", "25 %", "50 %", "75 %", "100 %", "share of each map’s peak"]),
        ("shared", ["0", "4", "8", "12", "16", "evidence"]),
    ],
)
def test_the_sheet_says_which_colour_stands_for_how_much(onlooker, scale, numbers):
    onlooker.see("two")
    onlooker.page.locator(".gx-colormaps label", has_text="viridis").click()
    onlooker.page.locator(f"[name=scale][value={scale}]").check()
    _, saved, written = sheet(onlooker)
    assert [text for text, _, _ in written[-6:]] == numbers
    bar = saved[2 * (TITLE + HEIGHT + LABEL + GAP) + 6, GAP : GAP + 360]
    table = lookup_table("viridis")[np.linspace(0, 255, 360).round().astype(int)].astype(int)
    assert np.abs(bar - table).max() <= 6
