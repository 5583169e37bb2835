"""What stands under "More": each setting makes the maps that it says, and what cannot be set leaves all as it was."""

import io
import zipfile

import cv2
import gradio as gr
import keras
import numpy as np
import pytest
from gallery import TWO, photo
from PIL import Image
from test_saving_pictures import assert_alike, sheet, tile
from tiny_networks import staged_network

import gradcam_core as gc
from gradcam_core.maps.explain import check
from gradcam_core.pictures.colorbar import with_colorbar
from ui import more
from ui.choices import Networks
from ui.downloads import FUSED, Style, card, everything
from ui.showing import Shown
from ui.visit import Steps

OTHER = next(iter(gc.NETWORKS))

# The choices lie in the browser; here the page's lists have none.
pytestmark = pytest.mark.filterwarnings("ignore:The value passed into gr.Dropdown")


@pytest.fixture(scope="module")
def upload(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("uploads") / "0.png")
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 256, (40, 24, 3), np.uint8))
    return path


def refused(step, *arguments: object) -> str:
    with pytest.raises(gr.Error) as caught:
        step(*arguments)
    return caught.value.message


@pytest.mark.parametrize(
    ("step", "value", "setting"),
    [
        ("score", "probability", {"score": "probability"}),
        ("evidence", "against", {"against": True}),
        ("smoothing", "flips", {"smoothing": "flips"}),
        ("method", "hirescam", {"method": "hirescam"}),
        ("instead_of", 1, {"instead_of": 1}),
    ],
)
def test_a_setting_makes_the_maps_that_it_says(steps, network, upload, step, value, setting):
    start = Shown("own", upload, 2, (3,), ("conv1", "add2"))
    after, *_, (first, second) = getattr(steps, step)(value, start)
    for found, target in ((first, 2), (second, 3)):
        expected = gc.explain(network, upload, target, ["conv1", "add2"], **setting)
        plain = gc.explain(network, upload, target, ["conv1", "add2"])
        for name, heat_map in expected.maps.items():
            np.testing.assert_allclose(found.maps[name].raw, heat_map.raw, rtol=1e-4, atol=1e-6)
            assert not np.allclose(heat_map.raw, plain.maps[name].raw, rtol=1e-2)
    assert getattr(steps, step)(value, after) == (gr.skip(),) * 5  # the page itself has set it


@pytest.mark.parametrize("has_photo", [False, True], ids=["empty page", "photo"])
@pytest.mark.parametrize(
    ("before", "step", "value", "sentence"),
    [
        ({"method": "eigencam"}, "evidence", "against", "Eigen-CAM is the same for every class"),
        ({"method": "eigencam"}, "instead_of", 1, "Eigen-CAM is the same for every class"),
        ({"against": True}, "method", "eigencam", "Eigen-CAM is the same for every class"),
        ({"network": OTHER, "score": "probability"}, "method", "cam", "CAM shows the head's weights"),
        ({"network": OTHER, "method": "cam"}, "score", "probability", "CAM shows the head's weights"),
        ({"method": "scorecam"}, "smoothing", "flips", "Score-CAM is not smoothed"),
        ({"smoothing": "noise"}, "method", "scorecam", "Score-CAM is not smoothed"),
        ({"layers": ("conv1",)}, "method", "cam", "CAM"),
        ({}, "score", "points", "The score is one of logit, probability, not 'points'."),
        ({}, "evidence", True, "The evidence is one of for, against, not True."),
        ({}, "smoothing", ["flips"], "The smoothing is one of none, flips, shifts, noise"),
        ({}, "method", None, "The method is one of gradcam"),
        ({}, "instead_of", "1", "by its index"),
    ],
    ids=str,
)
def test_what_cannot_be_set_is_a_sentence_with_a_photo_and_without(
    steps, upload, has_photo, before, step, value, sentence
):
    shown = Shown(**{"network": "own", "photo": upload if has_photo else None, **before})
    assert sentence in refused(getattr(steps, step), value, shown)
    assert steps.settings(shown)[1:5] == (
        shown.method,
        shown.score,
        "against" if shown.against else "for",
        shown.smoothing,
    )


def test_the_button_that_stops_is_there_for_the_method_that_takes_long(steps):
    *_, halt = steps.settings(Shown("own", method="scorecam"))
    assert halt.visible
    assert not steps.settings(Shown("own"))[-1].visible


def test_layers_that_cannot_be_explained_leave_those_that_are_shown(steps):
    shown = Shown("own", layers=("conv1", "add2"))
    preset, chosen = steps.back_to_layers(shown)
    assert (preset, chosen.value, chosen.visible) == ("choose", ["conv1", "add2"], True)
    preset, chosen = steps.back_to_layers(Shown("own", layers="last"))
    assert (preset, chosen.visible) == ("last", False)


def test_settings_that_another_network_does_not_allow_make_way_with_a_word(tmp_path, upload):
    """Its cells are 15 / 8 pixels high: no shift moves the maps by whole ones."""
    inputs = keras.Input((15, 21, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    outputs = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    steps = Steps(Networks(started=gc.Classifier("<b>odd", keras.Model(inputs, outputs))), str(tmp_path))
    sentence = "&lt;b&gt;odd do not fit into one another.* For now it is Grad-CAM without smoothing"
    with pytest.warns(UserWarning, match=sentence):
        after = steps.network("<b>odd", Shown(OTHER, upload, layers="last", smoothing="shifts"))[4]
    assert after == Shown("<b>odd", upload, layers="last")


def test_as_in_the_article_with_its_network(steps, network, upload, monkeypatch):
    monkeypatch.setattr(more, "ARTICLE", "own")  # one that is here
    before = Shown(OTHER, upload, 20, (3,), "all", "layercam", 1, "logit", True, "flips")
    about, chosen, _, preset, after, *_, grid = steps.article(before)
    convolution = [layer.name for layer in network.layers if layer.kind == "conv"][-1]
    assert after == Shown("own", upload, layers=(convolution,), score="probability")
    assert (about.value, chosen.value, chosen.visible, preset) == ("own", [convolution], True, "choose")
    assert list(grid[0].maps) == [convolution]
    assert (grid[0].score, grid[0].method) == ("probability", "gradcam")


def test_as_in_the_article_without_its_network_does_the_rest_and_says_so(steps, upload, monkeypatch):
    monkeypatch.setattr(steps._networks, "is_fetched", lambda _name: True)
    with pytest.warns(UserWarning, match="made for own, which stays"):
        *_, after, _, _, _, grid = steps.article(Shown("own", upload, 2, (3,)))
    assert after == Shown("own", upload, 2, (3,), (next(iter(grid[0].maps)),), score="probability")
    assert [row.target.index for row in grid] == [2, 3]


def test_on_an_empty_page_the_article_waits_for_a_photo(steps, monkeypatch):
    monkeypatch.setattr(more, "ARTICLE", "own")
    *_, after, classes, _, _, grid = steps.article(Shown(OTHER))
    assert (after.network, grid) == ("own", None)
    assert [name for name, _ in classes.choices] == ["ape", "Bee", "cow calf", "dog"]


# --- one card of all layers, and colours that are added ---


@pytest.mark.parametrize("how", gc.FUSIONS)
def test_the_card_of_all_layers_is_what_the_engine_makes(onlooker, how):
    onlooker.see("two")
    requests = []
    onlooker.page.on("request", lambda request: requests.append(request.url))
    set_view(onlooker, colormap="grey", fusion=how)
    assert onlooker.page.locator(".gx-card").count() == 8
    for card_number, row in ((3, TWO[0]), (7, TWO[1])):
        fused = row.fused(how)
        canvas = onlooker.page.locator(".gx-card").nth(card_number)
        canvas.scroll_into_view_if_needed()
        onlooker.page.wait_for_function(f"document.querySelectorAll('.gx-card')[{card_number}].canvas.levels")
        levels = onlooker.colors(card_number)[..., 0].astype(float)
        expected = gc.pictures.render.resize_heat(fused, *levels.shape[::-1])
        assert np.abs(levels - 255 * expected).max() <= 2
    assert requests == []
    wish = onlooker.hear(onlooker.page.locator(".gx-card .gx-save").nth(7).click)
    assert (wish["layer"], wish["fusion"], wish["target"]) == (FUSED, how, 3)
    dialog = onlooker.enlarge(3)
    onlooker.page.keyboard.press("ArrowRight")
    assert "evidence" not in dialog.locator(".gx-readout").inner_text()
    facts = [fact.replace("\u2009", "") for fact in dialog.locator(".gx-facts > *").all_inner_texts()]
    assert facts == ["size", "7×5", "cell", "37×36 px"]  # and no peak
    onlooker.page.keyboard.press("Escape")
    set_view(onlooker, fusion="none")
    assert onlooker.page.locator(".gx-card").count() == 6


def test_one_layer_is_not_fused_and_another_answer_is(onlooker):
    onlooker.see("held")
    set_view(onlooker, fusion="maximum")
    assert onlooker.page.locator(".gx-card").count() == 2
    onlooker.see("one")
    assert onlooker.layers() == ["fine", "middle", "coarse", "all layers"]


def test_what_has_no_evidence_in_all_layers_is_an_empty_card(onlooker):
    onlooker.see("one")  # its middle layer is empty
    set_view(onlooker, fusion="product")
    fused = onlooker.page.locator(".gx-card").last
    assert "Nothing in all layers at once speaks for “tawny owl”" in fused.locator(".gx-why").inner_text()


def test_added_colours_are_those_of_the_engine_on_the_page_and_in_the_sheet(onlooker):
    onlooker.see("two")
    set_view(onlooker, mode="add", opacity=0.6)
    stack = onlooker.page.locator(".gx-card .gx-stack").first
    seen = np.asarray(Image.open(io.BytesIO(stack.screenshot())).convert("RGB")).astype(int)
    heat_map = TWO[0].maps["fine"]
    enlarged = cv2.resize(photo(), seen.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert np.quantile(np.abs(seen - gc.overlay(enlarged, heat_map.heat, 0.6, "jet", "add")), 0.95) <= 12
    _, saved, _ = sheet(onlooker)
    small = cv2.resize(photo(), tile(saved, 0, 1).shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert_alike(tile(saved, 0, 1), gc.overlay(small, heat_map.heat, 0.6, "jet", "add").astype(int))


def test_the_sheet_ends_each_row_with_the_card_of_all_layers(onlooker):
    onlooker.see("two")
    set_view(onlooker, fusion="product")
    _, saved, written = sheet(onlooker)
    names = ["tawny owl, product of all layers", "lynx, product of all layers"]
    assert [text for text, _, _ in written if "all layers" in text] == names
    for number, row in enumerate(TWO):
        small = cv2.resize(photo(), tile(saved, number, 4).shape[1::-1], interpolation=cv2.INTER_LINEAR)
        assert_alike(tile(saved, number, 4), gc.overlay(small, row.fused("product"), 0.4, "jet").astype(int))


def set_view(onlooker, **view: object) -> None:
    """What the page's own controls tell the grid."""
    onlooker.page.evaluate("(detail) => dispatchEvent(new CustomEvent('gradcam-view', { detail }))", view)


def test_what_is_saved_is_added_and_fused_as_it_is_shown(tmp_path):
    style = Style(0.7, "magma", "shared", mode="add", fusion="product")
    path = card(TWO, TWO[1].target.index, FUSED, style, str(tmp_path))
    assert path.endswith("/gradcam-lynx-fused-product.png")
    expected = gc.overlay(TWO[1].photo, TWO[1].fused("product"), 0.7, "magma", "add")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), with_colorbar(expected, "magma"))
    assert (
        np.asarray(Image.open(card(TWO, 7, "fine", style, str(tmp_path)))).astype(int)[: len(TWO[0].photo)].sum()
        > TWO[0].photo.sum()
    )
    with zipfile.ZipFile(everything(TWO, style, str(tmp_path))) as file:
        assert "003-lynx/fused_product.jpg" in file.namelist()
        assert b'"mode": "add"' in file.read("003-lynx/manifest.json")
    with pytest.raises(gc.LayerError, match="no longer shown"):
        card(TWO, 7, FUSED, Style(), str(tmp_path))


def test_the_engine_refuses_before_there_is_a_photo_what_it_refuses_with_one():
    network = staged_network()
    check(network, "all", method="guided", score="probability", smoothing="noise", against=True, is_contrast=True)
    with pytest.raises(gc.LayerError, match="nowhere"):
        check(network, "nowhere")
    with pytest.raises(gc.SettingError, match="Score-CAM"):
        check(network, method="scorecam", smoothing="flips")


def test_more_on_the_page(visitor, photos):
    """What only repaints asks nothing; what is refused goes back; the article's settings come all at once."""
    visitor.explain(photos / "landscape.jpg")
    count = len(visitor.layers())
    visitor.open_more()
    page, before = visitor.page, len(visitor.requests)
    page.locator("#mode label", has_text="added").click()
    page.locator("#fusion label", has_text="highest").click()
    page.wait_for_function(f"document.querySelectorAll('.gx-card').length === {count + 1}")
    assert page.locator(".gx-card canvas").first.evaluate("one => getComputedStyle(one).mixBlendMode") == "plus-lighter"
    assert visitor.requests[before:] == []
    page.locator("#evidence label", has_text="against").click()
    page.wait_for_function("document.querySelector('.gx-title').textContent.startsWith('Evidence against ')")
    visitor.choose("#method-choice", "Eigen-CAM")
    visitor.wait_for_toast("Eigen-CAM is the same for every class")
    page.wait_for_function("document.querySelector('#method-choice input').value === 'Grad-CAM'")
    assert len(visitor.layers()) == count + 1

    page.locator("#mode label", has_text="mixed").click()
    page.locator("#article").click()
    visitor.wait_for_toast("VGG16 (553 MB)")
    assert "which stays" in visitor.wait_for_toast("The other settings are made for EfficientNetLite0")
    page.wait_for_function("document.querySelectorAll('.gx-card').length === 1")  # one layer: nothing to fuse
    page.wait_for_function("document.querySelector('#mode input[value=add]').checked")
    page.wait_for_function("document.querySelector('#score input[value=probability]').checked")
    assert visitor.layers() == ["head_conv"]
    assert page.locator("#evidence input[value=for]").is_checked()
    assert page.get_by_label("Choose", exact=True).is_checked()
    assert page.locator(".gx-card canvas").first.evaluate("one => getComputedStyle(one).mixBlendMode") == "plus-lighter"
