"""Several photos: a strip, each answered when it is looked at or in idle time, and one layer of all side by side."""

import base64
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from tiny_networks import deep_network

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.pictures.render import resize_heat
from ui.choices import Networks
from ui.layer_grid import MOST_PHOTOS
from ui.showing import Shown
from ui.visit import Steps

# The choices lie in the browser; here the page's lists have none.
pytestmark = pytest.mark.filterwarnings("ignore:The value passed into gr.Dropdown")

THUMBS = ".gx-thumb"


@pytest.fixture(scope="module")
def network() -> gc.Classifier:
    return gc.Classifier("own", deep_network().model, ["ape", "Bee", "cow_calf", "dog"])


@pytest.fixture(scope="module")
def steps(network, tmp_path_factory) -> Steps:
    return Steps(Networks(started=network), str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def uploads(steps) -> list[str]:
    """Two photos and a file that is none, in the upload folder."""
    for seed, size in enumerate([(40, 24), (18, 30)]):
        noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(f"{steps._cache}/{seed}.png", noise)
    (Path(steps._cache) / "text.png").write_text("This is not a picture.\n")
    return [f"{steps._cache}/{name}" for name in ("0.png", "1.png", "text.png")]


def event(**wish: object) -> gr.EventData:
    return gr.EventData(None, wish)


def heat_of(said: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(said["heat"]), "<u2").reshape(said["cells"]) / 65535


def test_another_photo_is_shown_with_its_own_class_and_the_settings_that_are_set(steps, network, uploads):
    shown = Shown("own", uploads[0], 2, (3,), ("conv1", "add2"), "layercam", 0, score="probability")
    photo, after, target, beside, other, grid, said = steps.turn(event(number=1, path=uploads[1], key="k"), shown)
    assert photo == uploads[1]
    assert after == Shown("own", uploads[1], layers=("conv1", "add2"), method="layercam", score="probability")
    expected = gc.explain(network, uploads[1], None, ["conv1", "add2"], method="layercam", score="probability")
    assert grid[0].target == expected.target
    assert (target.value, beside.value, other.value) == (expected.target.index, [], None)
    assert (said["number"], said["key"], said["name"]) == (1, "k", expected.target.name)
    assert (said["layer"], said["cells"]) == ("add2", list(expected.maps["add2"].raw.shape))
    np.testing.assert_allclose(heat_of(said), expected.maps["add2"].heat, atol=1e-4)
    assert steps.photo(photo, after) == (gr.skip(),) * 5  # the photo's own field has been set by the page


def test_the_same_layer_and_class_are_told_of_a_photo_that_is_not_shown(steps, network, uploads):
    shown = Shown("own", uploads[0], layers="all")
    said = steps.look(event(number=1, path=uploads[1], layer="conv1", target=3), shown)
    expected = gc.explain(network, uploads[1], 3, "conv1").maps["conv1"]
    np.testing.assert_allclose(heat_of(said), expected.heat, atol=1e-4)
    assert (said["peak"], said["photo_size"]) == (pytest.approx(expected.peak, rel=1e-4), [18, 30])
    assert said["name"] == "dog"
    kept = cv2.imread(said["photo"]["path"])
    assert kept.shape == (18, 30, 3)


def test_a_bad_photo_costs_its_own_sentence_and_changes_nothing(steps, uploads):
    shown = Shown("own", uploads[0], 2)
    *rest, said = steps.turn(event(number=2, path=uploads[2]), shown)
    assert rest == [gr.skip()] * 6
    assert said["number"] == 2
    assert "text.png is text, not a photo" in said["error"]
    assert steps.look(event(number=2, path=uploads[2]), shown)["error"] == said["error"]


def test_a_photo_that_was_cleared_away_is_asked_for_again(steps, uploads):
    path = f"{steps._cache}/gone.png"
    assert steps.look(event(number=4, path=path), Shown("own")) == {"number": 4, "gone": True}
    assert steps.turn(event(number=4, path=path), Shown("own"))[-1] == {"number": 4, "gone": True}


def test_ahead_of_time_nothing_is_computed_that_takes_long(steps, uploads):
    wish = {"number": 1, "path": uploads[1]}
    for slow in (Shown("own", method="scorecam"), Shown("own", smoothing="noise")):
        assert steps.look(event(**wish, ahead=True), slow) == {"number": 1, "waits": True}
        assert "heat" in steps.look(event(**wish), slow)


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "app.py", "", "{cache}/../secret.png", "http://example.org/a.png", None, 3]
)
def test_nothing_but_uploaded_files_is_opened(steps, path):
    (Path(steps._cache).parent / "secret.png").write_bytes(b"secret")
    path = path.format(cache=steps._cache) if isinstance(path, str) else path
    for step in (steps.turn, steps.look):
        with pytest.raises(gr.Error, match=r"uploaded|Upload"):
            step(event(number=0, path=path), Shown("own"))


def test_a_class_for_all_photos_is_an_index(steps, uploads):
    for target in ("3", True, 1.0):
        with pytest.raises(gr.Error, match="by its index"):
            steps.look(event(number=0, path=uploads[0], target=target), Shown("own"))


# --- in the browser ---


def labels(visitor) -> list[str]:
    return visitor.page.locator(THUMBS).evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")


def wait_for_current(visitor, number: int, name: str) -> None:
    visitor.page.wait_for_function(
        """([number, name]) => {
            const thumb = document.querySelectorAll('.gx-thumb')[number];
            return thumb.ariaCurrent === 'true' && thumb.getAttribute('aria-label').includes(name)
                && document.querySelector('.gx-title').textContent.endsWith(name.split(',')[0]);
        }""",
        arg=[number, name],
    )


def test_several_photos_are_a_strip_and_one_layer_of_all_side_by_side(visitor, photos):
    """Chosen by a click, a bad one among them; looked at by keys; then put beside one another; then dropped anew."""
    names = ["landscape.jpg", "text.jpg", "turned.jpg", "moving.gif"]
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.locator("#photo button").first.click()
    chooser.value.set_files([photos / name for name in names])
    network = gc.load(DEFAULT)
    found = {name: gc.explain(network, photos / name) for name in names if name != "text.jpg"}
    said = {n: f"{one.target.name.replace('_', ' ')}, {one.target.text}" for n, one in found.items()}
    wait_for_current(visitor, 0, said["landscape.jpg"])
    # The next two are answered in idle time, before anybody looks at them.
    visitor.page.wait_for_function("document.querySelectorAll('.gx-thumb')[2].title.includes('%')")
    assert labels(visitor)[1] == "Photo 2 of 4, text.jpg: cannot be used"
    assert labels(visitor)[2] == f"Photo 3 of 4, turned.jpg: {said['turned.jpg']}"
    visitor.page.locator(THUMBS).first.focus()
    visitor.page.keyboard.press("ArrowRight")  # past the one that cannot be used
    wait_for_current(visitor, 2, said["turned.jpg"])
    visitor.page.keyboard.press("End")
    wait_for_current(visitor, 3, said["moving.gif"])
    assert visitor.page.locator(".gx-later").is_disabled()
    visitor.page.locator(THUMBS).nth(1).click()
    visitor.page.locator(".gx-strip-said", has_text="text.jpg is text, not a photo").wait_for()
    wait_for_current(visitor, 3, said["moving.gif"])

    visitor.page.get_by_role("button", name="Side by side").click()
    visitor.page.wait_for_function("document.querySelectorAll('.gx-side canvas').length === 3")
    cards = visitor.page.locator(".gx-side .gx-card")
    assert "is text, not a photo" in cards.nth(1).inner_text()
    visitor.page.locator(".gx-colormaps label", has_text="grey").click()
    layer = visitor.page.locator(".gx-side [name=layer]").input_value()
    assert layer == list(found["turned.jpg"].maps)[-1]
    assert_side(visitor, [one.maps[layer] for one in found.values()])
    first = next(iter(found["turned.jpg"].maps))
    visitor.page.locator(".gx-side [name=layer]").select_option(first)
    visitor.page.wait_for_function(
        "(name) => [...document.querySelectorAll('.gx-side canvas')].every((one) => one.map.layer === name)", arg=first
    )
    assert_side(visitor, [one.maps[first] for one in found.values()])
    visitor.page.locator(".gx-side [name=class]").select_option(index=1)
    name = found["moving.gif"].target.name.replace("_", " ")
    visitor.page.wait_for_function(
        """(name) => [...document.querySelectorAll('.gx-side-name')].filter((one) => one.textContent.startsWith(name))
            .length === 3""",
        arg=name,
    )
    cards.first.locator(".gx-open").click()
    wait_for_current(visitor, 0, name)  # the class that was chosen for all
    assert visitor.page.locator(".gx-side").is_hidden()

    visitor.drop(photos / "text.jpg", photos / "cut.jpg")
    visitor.page.wait_for_function("document.querySelectorAll('.gx-thumb').length === 2")
    visitor.page.locator(".gx-strip-said", has_text="cut.jpg is cut short").wait_for()  # neither can be shown
    assert visitor.title().endswith(name)  # what was shown stays
    visitor.page.get_by_role("button", name="Take the strip away").click()
    assert visitor.page.locator(".gx-strip").is_hidden()
    visitor.explain(photos / "turned.jpg")  # one alone is a photo as before


def assert_side(visitor, expected: list[gc.HeatMap]) -> None:
    """The cards side by side are these maps."""
    for number, heat_map in enumerate(expected):
        levels = visitor.colors(number, ".gx-side canvas")[..., 0].astype(float)
        assert np.abs(levels - 255 * resize_heat(heat_map.heat, *levels.shape[::-1])).max() <= 2.5


def test_a_strip_has_so_many_photos_and_says_what_is_left_out(onlooker):
    """The gallery has nobody who answers: nothing but the strip itself is seen."""
    onlooker.page.evaluate(
        """(count) => dispatchEvent(new CustomEvent('gradcam-photos', {
            detail: Array.from({ length: count }, (_, i) => new File(['x'], `<b>${i}.txt`)),
        }))""",
        MOST_PHOTOS + 3,
    )
    assert onlooker.page.locator(THUMBS).count() == MOST_PHOTOS
    assert "and 3 more were left out" in onlooker.page.locator(".gx-strip-said").inner_text()
    onlooker.page.get_by_role("button", name="Take the strip away").click()
