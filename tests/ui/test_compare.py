"""Classes beside one another, two maps on one photo, and what is taken away: in a real browser."""

import json
import zipfile

import numpy as np
import pytest
from browser import CARDS, Visitor
from PIL import Image
from tiny_networks import staged_network

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.pictures.render import resize_heat
from ui.explained import Explained

# A second click on the link's button, while it still says "Copied".
CLICK_AGAIN = """() => {
    const button = document.querySelector('.gx-link');
    const look = () => {
        if (button.textContent !== 'Copied') return requestAnimationFrame(look);
        button.click();
        window.isClickedAgain = true;
    };
    look();
}"""


def names_of(visitor: Visitor) -> list[str]:
    return visitor.page.locator(".gx-class").evaluate_all("heads => heads.map((head) => head.firstChild.textContent)")


def wait_for_rows(visitor: Visitor, count: int) -> None:
    visitor.page.wait_for_function("(n) => document.querySelectorAll('.gx-row').length === n", arg=count)


def test_classes_stand_beside_one_another_a_row_each(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    guesses = visitor.page.locator(".gx-guess-name").all_inner_texts()
    layers = visitor.layers()
    visitor.page.get_by_role("button", name=f"Compare with {guesses[2]}").click()
    wait_for_rows(visitor, 2)
    visitor.choose("#beside", "teapot")
    wait_for_rows(visitor, 3)
    assert names_of(visitor) == [guesses[0], guesses[2], "teapot"]
    assert visitor.layers() == 3 * layers
    visitor.page.locator(".gx-colormaps label", has_text="grey").click()
    result = gc.explain(gc.load(DEFAULT), photos / "landscape.jpg", "teapot")
    visitor.page.locator(CARDS).last.scroll_into_view_if_needed()
    painted = visitor.colors(-1)[..., 0].astype(np.float32)
    expected = 255 * resize_heat(result.maps[layers[-1]].heat, *painted.shape[::-1])
    assert np.abs(painted - expected).max() <= 1.5
    visitor.page.get_by_role("button", name=f"No longer compare with {guesses[2]}").click()
    wait_for_rows(visitor, 2)
    assert names_of(visitor) == [guesses[0], "teapot"]


def test_a_fifth_class_is_refused_with_a_sentence_and_nothing_is_lost(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    for count in (2, 3, 4):
        visitor.page.locator(".gx-beside:enabled", has_text="+").first.click()
        wait_for_rows(visitor, count)
    visitor.page.locator(".gx-beside:enabled", has_text="+").first.click()
    visitor.wait_for_toast("At most 3 classes")
    assert len(names_of(visitor)) == 4


def test_the_class_of_a_row_becomes_the_first_only_once(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator(".gx-beside:enabled").first.click()
    wait_for_rows(visitor, 2)
    second = names_of(visitor)[1]
    visitor.page.locator(".gx-guess", has_text=second).click()
    wait_for_rows(visitor, 1)
    assert visitor.title() == f"Evidence for {second}"


def test_a_list_that_is_only_passed_by_changes_nothing(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.choose("#class", "teapot")
    visitor.wait_for_title("teapot")
    visitor.open_more()
    for name in ("network", "method-choice"):
        visitor.page.locator(f"#{name} input").focus()
        visitor.page.keyboard.press("Tab")
        visitor.page.wait_for_timeout(1000)
    assert visitor.title() == "Evidence for teapot"


def test_what_is_known_is_not_computed_again(photos):
    network, path = staged_network(), str(photos / "landscape.jpg")
    explained = Explained()
    (first,) = explained.explain(network, path, [None], "all")
    again, other = explained.explain(network, path, [first.target.index, 3], "stages")
    assert again.photo is other.photo is first.photo
    assert all(again.maps[name] is first.maps[name] for name in again.maps)
    (grown,) = explained.explain(network, path, [3], "all")
    assert all(grown.maps[name] is other.maps[name] for name in other.maps)
    assert list(grown.maps) == [layer.name for layer in network.layers]
    alone = gc.explain(network, path, 3, "all")
    for name, heat_map in alone.maps.items():
        np.testing.assert_allclose(grown.maps[name].raw, heat_map.raw, atol=1e-4 * np.abs(heat_map.raw).max())


def test_what_is_being_done_is_said_and_nothing_where_nothing_is_done(photos):
    network, explained, said = staged_network(), Explained(), []
    for _ in range(2):
        explained.explain(network, str(photos / "landscape.jpg"), [None], "last", say=said.append)
    assert said == ["Tracing the layers", "Looking for evidence"]


def test_the_least_recently_used_photo_is_forgotten_first(photos):
    network, explained = staged_network(), Explained(limit=1.6e6)  # one photo of 640 x 480, and a half
    paths = [str(photos / name) for name in ("landscape.jpg", "turned.jpg", "moving.gif")]
    kept = [explained.explain(network, path, [None], "last")[0] for path in paths]
    assert explained.photo(paths[2]) is kept[2].photo
    assert explained.photo(paths[0]) is not kept[0].photo


def test_two_maps_are_compared_by_a_line_that_moves(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator(f"{CARDS} .gx-open").last.click()
    dialog = visitor.page.locator("dialog[open]")
    line = dialog.get_by_label("Where the line between the two pictures lies")
    assert line.is_hidden()
    assert dialog.locator("canvas").count() == 1
    dialog.get_by_label("Compare with").select_option(index=2)
    assert dialog.locator("canvas").count() == 2
    line.fill("25")
    clips = dialog.locator("canvas").evaluate_all("all => all.map((canvas) => canvas.style.clipPath)")
    assert clips == ["inset(0px 75% 0px 0px)", "inset(0px 0px 0px 25%)"]
    line.press("ArrowRight")
    assert float(line.input_value()) == 25.5
    box = dialog.locator(".gx-stack").bounding_box()
    visitor.page.mouse.move(box["x"] + 5, box["y"] + 50)
    visitor.page.mouse.down()
    visitor.page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 50)
    visitor.page.mouse.up()
    assert float(line.input_value()) == pytest.approx(80, abs=1)
    dialog.get_by_label("Compare with").select_option(label="nothing")
    assert dialog.locator("canvas").evaluate_all("all => all.map((canvas) => canvas.style.clipPath)") == [""]


def test_a_saved_card_has_the_photos_own_size_and_what_is_set(visitor, photos, tmp_path):
    Image.open(photos / "landscape.jpg").resize((2400, 1800)).save(tmp_path / "large.png")
    visitor.explain(tmp_path / "large.png")
    visitor.page.locator(".gx-colormaps label", has_text="viridis").click()
    visitor.page.locator(".gx-choices label", has_text="shared").click()
    visitor.page.locator("input[name=opacity]").fill("0.7")
    with visitor.page.expect_download() as download:
        visitor.page.locator(f"{CARDS} .gx-save").first.click()
    assert download.value.suggested_filename.endswith(f"{visitor.layers()[0]}.png")
    saved = np.asarray(Image.open(download.value.path()))
    result = gc.explain(gc.load(DEFAULT), tmp_path / "large.png")
    first = next(iter(result.maps.values()))
    heat = first.scaled(max(heat_map.peak for heat_map in result.maps.values()))
    expected = gc.overlay(result.photo, heat, opacity=0.7, colormap="viridis")
    assert saved.shape == (1800 + 96, 2400, 3)  # over a colour bar, which is larger under a large photo
    assert np.abs(saved[:1800].astype(int) - expected).max() <= 3


def test_everything_is_saved_as_a_zip_and_as_one_picture(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    with visitor.page.expect_download() as download:
        visitor.page.click(".gx-sheet")
    alone = Image.open(download.value.path()).size
    visitor.page.locator(".gx-beside:enabled").first.click()
    wait_for_rows(visitor, 2)
    with visitor.page.expect_download() as download:
        visitor.page.click(".gx-sheet")
    legend = 50  # once for both rows
    assert Image.open(download.value.path()).size == (alone[0], 2 * alone[1] - legend)
    with visitor.page.expect_download() as download:
        visitor.page.click(".gx-all")
    with zipfile.ZipFile(download.value.path()) as everything:
        assert everything.testzip() is None
        manifests = [name for name in everything.namelist() if name.endswith("/manifest.json")]
        said = [json.loads(everything.read(name)) for name in manifests]
        assert [one["target"]["name"].replace("_", " ") for one in said] == names_of(visitor)
        for name, one in zip(manifests, said, strict=True):
            folder = name.removesuffix("manifest.json")
            with everything.open(folder + one["raw"]) as raw:
                assert set(np.load(raw)) == set(visitor.layers())
            for entry in one["maps"]:
                assert folder + entry["overlay"] in everything.namelist()


def test_a_link_restores_network_classes_layers_and_colours(browser_context, visitor, photos):
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.explain(photos / "landscape.jpg")
    visitor.choose("#class", "teapot")
    visitor.wait_for_title("teapot")
    visitor.choose("#beside", "umbrella")
    wait_for_rows(visitor, 2)
    visitor.page.get_by_label("Last", exact=True).check()
    visitor.page.wait_for_function("document.querySelectorAll('.gx-card').length === 2")
    visitor.page.wait_for_function("[...document.querySelectorAll('.gx-card img')].every((photo) => photo.complete)")
    visitor.page.locator(".gx-colormaps label", has_text="magma").click()
    visitor.page.locator(".gx-choices label", has_text="shared").click()
    visitor.page.locator("input[name=opacity]").fill("0.65")
    asked = len(visitor.requests)
    visitor.page.locator("input[name=threshold]").fill("0.42")
    visitor.page.wait_for_selector(".gx-lines")
    assert len(visitor.requests) == asked
    visitor.page.evaluate(CLICK_AGAIN)
    visitor.page.get_by_role("button", name="Copy a link").click()
    visitor.page.wait_for_function("window.isClickedAgain")
    link = visitor.page.evaluate("navigator.clipboard.readText()")
    friend = Visitor(browser_context, link)
    friend.explain(photos / "turned.jpg")
    assert names_of(friend) == ["teapot", "umbrella"]
    assert len(friend.layers()) == 2
    assert friend.opacity() == pytest.approx(0.65)
    assert friend.page.locator(".gx-threshold output").inner_text() == "42 %"
    friend.page.wait_for_function("document.querySelectorAll('.gx-lines').length === 2")
    assert friend.page.locator("[name=colormap]:checked").input_value() == "magma"
    assert friend.page.locator("[name=scale]:checked").input_value() == "shared"
    assert friend.page.get_by_label("Last", exact=True).is_checked()
    assert friend.complaints == []
    friend.page.close()
    visitor.page.wait_for_timeout(2500)  # after the last click
    assert visitor.page.get_by_role("button", name="Copy a link").is_visible()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("class=unicorn", "unicorn"),
        ("network=GG16", "GG16"),
        ("network=bundled", "took its place"),
        ("layers=block9", "block9"),
        ("beside=1,2000", "2000"),
        (f"class={'9' * 5000}", "up to 200 characters, not 5000."),
        (f"layers={'x' * 5000}", f"has no layer '{'x' * 59}..."),
    ],
    ids=range(7),
)
def test_a_link_to_what_is_not_there_opens_the_page_all_the_same(browser_context, server, photos, query, sentence):
    visitor = Visitor(browser_context, f"{server.url}/?{query}&opacity=9&colormap=rainbow&scale=none&threshold=2")
    assert sentence in visitor.wait_for_toast(sentence)
    visitor.explain(photos / "landscape.jpg")
    assert visitor.opacity() == pytest.approx(0.4)
    assert visitor.page.locator(".gx-threshold output").inner_text() == "off"
    assert visitor.complaints == []
    visitor.page.close()


def shown_maps(visitor: Visitor) -> list[np.ndarray]:
    """The grey levels of the cards, in [0, 1]."""
    visitor.page.locator(".gx-colormaps label", has_text="grey").click()
    visitor.page.locator(CARDS).last.scroll_into_view_if_needed()
    visitor.page.wait_for_function("[...document.querySelectorAll('.gx-card')].every((card) => card.canvas.levels)")
    return [visitor.colors(i)[..., 0] / np.float32(255) for i in range(len(visitor.layers()))]


def assert_shown(visitor: Visitor, expected: gc.Explanation) -> None:
    for painted, heat_map in zip(shown_maps(visitor), expected.maps.values(), strict=True):
        wanted = resize_heat(heat_map.heat, *painted.shape[::-1])
        assert np.abs(painted - wanted).max() <= 0.02


def test_a_class_is_held_against_another(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    first = visitor.title().removeprefix("Evidence for ")
    visitor.choose("#instead", "teapot")
    visitor.wait_for_title(f"{first} rather than teapot")
    assert_shown(visitor, gc.explain(gc.load(DEFAULT), photos / "landscape.jpg", instead_of="teapot"))
    visitor.choose("#instead", first)
    visitor.wait_for_toast(f"{first} cannot be held against itself")
    visitor.page.wait_for_function("document.querySelector('#instead input').value === 'teapot'")
    assert visitor.title() == f"Evidence for {first} rather than teapot"


def test_another_method_makes_other_maps(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    before = shown_maps(visitor)[-1]
    visitor.page.locator(".gx-code summary").click()
    for method, title in (("layercam", "LayerCAM"), ("guided", "Guided Grad-CAM"), ("cam", "CAM")):
        visitor.choose("#method-choice", title)
        visitor.page.locator('.gx-code pre[aria-label="Shell"]', has_text=f"--method {method}").wait_for()
        assert_shown(visitor, gc.explain(gc.load(DEFAULT), photos / "landscape.jpg", method=method))
        assert method == "cam" or np.abs(before - shown_maps(visitor)[-1]).max() > 0.1, method


def test_a_link_to_what_the_method_cannot_explain_opens_the_page_all_the_same(browser_context, server, photos):
    visitor = Visitor(browser_context, f"{server.url}?method=cam&layers=stem_relu")
    visitor.wait_for_toast("The link asks for something else: CAM explains one layer of EfficientNetLite0, head_relu.")
    visitor.explain(photos / "landscape.jpg")
    assert len(visitor.layers()) == 5
    visitor.page.close()


def test_a_link_restores_method_and_contrast(browser_context, server, photos):
    visitor = Visitor(browser_context, f"{server.url}?method=layercam&instead_of=teapot&layers=last")
    visitor.explain(photos / "landscape.jpg")
    assert visitor.title().endswith(" rather than teapot")
    expected = gc.explain(
        gc.load(DEFAULT), photos / "landscape.jpg", layers="last", method="layercam", instead_of="teapot"
    )
    assert_shown(visitor, expected)
    visitor.page.close()
