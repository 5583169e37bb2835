"""Several photos: a strip, each answered when it is looked at or in idle time, and one layer of all side by side."""

import base64
import inspect
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from gallery import OWL
from gradio.data_classes import ImageData

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.pictures.render import resize_heat
from ui.choices import Networks
from ui.layer_grid import MOST_PHOTOS, base64_of
from ui.page import build
from ui.photo_input import PhotoInput
from ui.showing import Shown

# The choices lie in the browser; here the page's lists have none.
pytestmark = pytest.mark.filterwarnings("ignore:The value passed into gr.Dropdown")

THUMBS = ".gx-thumb"


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
    photo, after, target, beside, other, grid, said = steps.turn(event(path=uploads[1], key="k"), shown)
    assert photo == uploads[1]
    field = PhotoInput()
    field.GRADIO_CACHE = steps._cache
    echo = ImageData(**field.postprocess(photo).model_dump())  # the field tells of it, when yet another may be shown
    assert field.preprocess(echo) is None
    assert field.preprocess(ImageData(path=uploads[1])) == uploads[1]
    assert after == Shown("own", uploads[1], layers=("conv1", "add2"), method="layercam", score="probability")
    expected = gc.explain(network, uploads[1], None, ["conv1", "add2"], method="layercam", score="probability")
    assert grid[0].target == expected.target
    assert (target.value, beside.value, other.value) == (expected.target.index, [], None)
    assert (said["path"], said["key"], said["name"]) == (uploads[1], "k", expected.target.name)
    assert (said["layer"], said["cells"]) == ("add2", list(expected.maps["add2"].raw.shape))
    np.testing.assert_allclose(heat_of(said), expected.maps["add2"].heat, atol=1e-4)
    assert steps.photo(photo, after) == (gr.skip(),) * 5  # the photo's own field has been set by the page


def test_the_same_layer_and_class_are_told_of_a_photo_that_is_not_shown(steps, network, uploads):
    shown = Shown("own", uploads[0], layers="all")
    said = steps.look(event(path=uploads[1], layer="conv1", target=3), shown)
    expected = gc.explain(network, uploads[1], 3, "conv1").maps["conv1"]
    np.testing.assert_allclose(heat_of(said), expected.heat, atol=1e-4)
    assert (said["peak"], said["photo_size"]) == (pytest.approx(expected.peak, rel=1e-4), [18, 30])
    assert said["name"] == "dog"
    kept = cv2.imread(said["photo"]["path"])
    assert kept.shape == (18, 30, 3)


def test_a_bad_photo_costs_its_own_sentence_and_changes_nothing(steps, uploads):
    shown = Shown("own", uploads[0], 2)
    *rest, said = steps.turn(event(path=uploads[2]), shown)
    assert rest == [gr.skip()] * 6
    assert said["path"] == uploads[2]
    assert "text.png is text, not a photo" in said["error"]
    assert steps.look(event(path=uploads[2]), shown) == said


def test_what_is_set_and_cannot_be_is_no_fault_of_the_photo(steps, uploads):
    said = steps.look(event(path=uploads[0], key="k", target=4), Shown("own"))
    assert said.keys() == {"path", "key", "refused"}
    assert (said["path"], said["key"]) == (uploads[0], "k")
    assert "own has the classes 0 to 3" in said["refused"]
    with pytest.raises(gr.Error, match="own has the classes 0 to 3"):
        steps.turn(event(path=uploads[0], target=4), Shown("own"))


def test_a_photo_that_was_cleared_away_is_asked_for_again(steps, uploads):
    path = f"{steps._cache}/gone.png"
    assert steps.look(event(path=path), Shown("own")) == {"path": path, "gone": True}
    assert steps.turn(event(path=path), Shown("own"))[-1] == {"path": path, "gone": True}


def test_ahead_of_time_nothing_is_computed_that_takes_long(steps, uploads):
    wish = {"path": uploads[1]}
    for slow in (Shown("own", method="scorecam"), Shown("own", smoothing="noise")):
        assert steps.look(event(**wish, ahead=True), slow) == wish | {"waits": True}
        assert "heat" in steps.look(event(**wish), slow)


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/hostname", "app.py", "", "{cache}/../secret.png", "http://example.org/a.png", None, 3),
        *("{cache}/a\0.png", "{cache}/" + "a" * 300),
    ],
)
def test_nothing_but_uploaded_files_is_opened(steps, path):
    (Path(steps._cache).parent / "secret.png").write_bytes(b"secret")
    path = path.format(cache=steps._cache) if isinstance(path, str) else path
    for step in (steps.turn, steps.look):
        with pytest.raises(gr.Error, match=r"uploaded|Upload"):
            step(event(path=path), Shown("own"))


@pytest.mark.parametrize("data", [None, ["path"], "path", 3])
def test_what_describes_no_photo_is_refused(steps, data):
    for step in (steps.turn, steps.look):
        with pytest.raises(gr.Error, match="by the file that was uploaded"):
            step(gr.EventData(None, data), Shown("own"))


def test_no_step_is_handed_what_an_earlier_event_said(network):
    """Gradio's "always_last" starts a step again with the data of the event before, and leaves out those between."""
    steps = [fn for fn in build(Networks(started=network)).fns.values() if fn.fn]
    told = [fn for fn in steps if "event" in inspect.signature(inspect.unwrap(fn.fn)).parameters]
    assert {fn.name for fn in told} == {"guess", "turn", "look", "take"}
    assert {fn.trigger_mode for fn in told} == {"multiple"}


def test_a_class_for_all_photos_is_an_index(steps, uploads):
    for target in ("3", True, 1.0):
        with pytest.raises(gr.Error, match="by its index"):
            steps.look(event(path=uploads[0], target=target), Shown("own"))


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
        """(name) => [...document.querySelectorAll('.gx-side canvas')].filter((one) => one.map.layer === name)
            .length === 3""",
        arg=first,
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
    drop(onlooker, *(f"<b>{i}.txt" for i in range(MOST_PHOTOS + 3)))
    assert onlooker.page.locator(THUMBS).count() == MOST_PHOTOS
    assert "and 3 more were left out" in onlooker.page.locator(".gx-strip-said").inner_text()
    onlooker.page.get_by_role("button", name="Take the strip away").click()


def drop(onlooker, *names: str) -> dict:
    """Files of these names in the gallery, where the test answers -> what the server is asked first."""
    return onlooker.hear(lambda: let_fall(onlooker, *names))


def let_fall(onlooker, *names: str) -> None:
    onlooker.page.evaluate(
        """(names) => dispatchEvent(new CustomEvent('gradcam-photos', {
            detail: names.map((name) => new File([name], name)),
        }))""",
        names,
    )


def say(onlooker, **said: object) -> None:
    onlooker.page.evaluate("(detail) => dispatchEvent(new CustomEvent('gradcam-said', { detail }))", said)


def found(wish: dict, name: str) -> dict:
    """What the server says of a photo that it takes for something."""
    photo = {"path": wish["path"], "url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}
    heat = {"heat": base64_of(np.array([65535, 9], "<u2")), "cells": [1, 2], "peak": 2.0, "photo_size": [20, 30]}
    return {
        "path": wish["path"],
        "key": wish["key"],
        "name": name,
        "text": "42 %",
        "layer": "a",
        "photo": photo,
        **heat,
    }


def test_one_thing_is_asked_at_a_time_then_the_newest_wish_and_other_answers_are_dropped(onlooker):
    def answer(wish: dict, **said: object) -> dict:
        return onlooker.hear(lambda: say(onlooker, path=wish["path"], **said))

    first = drop(onlooker, "a.txt", "b.txt", "c.txt", "d.txt")
    assert first["path"].endswith("a.txt")
    for number in (1, 2, 3):
        onlooker.page.locator(THUMBS).nth(number).click()
    newest = answer(first, gone=True)
    assert newest["path"].endswith("d.txt")
    let_fall(onlooker, "e.txt", "f.txt")
    other = answer(newest, error="It is of the strip before.")
    assert other["path"].endswith("e.txt")
    say(onlooker, path=newest["path"], error="It is not what was asked.")
    assert labels(onlooker) == ["Photo 1 of 2, e.txt", "Photo 2 of 2, f.txt"]
    last = answer(other, error="This one is bad.")
    assert last["path"].endswith("f.txt")
    assert labels(onlooker) == ["Photo 1 of 2, e.txt: cannot be used", "Photo 2 of 2, f.txt"]
    say(onlooker)  # it failed
    assert onlooker.page.locator(f"{THUMBS}[aria-current=true]").count() == 0
    assert onlooker.page.locator(THUMBS).evaluate_all("all => all.map((one) => one.tabIndex)") == [0, -1]


def test_what_was_said_with_another_network_is_not_shown_and_its_class_not_asked_for(onlooker):
    onlooker.see("two")
    first = drop(onlooker, "a.txt", "b.txt")
    second = onlooker.hear(lambda: say(onlooker, **found(first, "stoat")))
    assert labels(onlooker) == ["Photo 1 of 2, a.txt: stoat, 42 %", "Photo 2 of 2, b.txt"]
    onlooker.page.get_by_role("button", name="Side by side").click()
    onlooker.page.locator(".gx-side [name=class]").select_option(index=1)
    cards = onlooker.page.locator(".gx-side-name")
    assert cards.all_inner_texts() == ["not yet seen", "not yet seen"]
    first = onlooker.hear(lambda: say(onlooker, path=second["path"], gone=True))
    assert first["target"] == OWL.index
    second = onlooker.hear(lambda: say(onlooker, **found(first, "tawny_owl")))
    assert cards.all_inner_texts() == ["tawny owl · 42 %", "not yet seen"]
    say(onlooker, path=second["path"], key=second["key"], refused="Not with this method.")
    assert cards.all_inner_texts() == ["tawny owl · 42 %", "cannot be explained so"]
    assert labels(onlooker)[1] == "Photo 2 of 2, b.txt"
    onlooker.show("own")
    onlooker.wait_for_title("tawny owl")
    assert labels(onlooker) == ["Photo 1 of 2, a.txt", "Photo 2 of 2, b.txt"]
    assert onlooker.page.locator(".gx-side canvas").count() == 0
    assert onlooker.page.locator(".gx-side [name=class]").input_value() == ""
