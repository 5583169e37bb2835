"""What each thing that a visitor does changes of what is shown, and what it leaves as it is."""

from dataclasses import replace

import cv2
import gradio as gr
import keras
import numpy as np
import pytest
from gradio.context import LocalContext

import gradcam_core as gc
from ui.choices import Networks, network_note
from ui.showing import Shown

OTHER = next(iter(gc.NETWORKS))

# The choices lie in the browser; here the page's lists have none.
pytestmark = pytest.mark.filterwarnings("ignore:The value passed into gr.Dropdown")


def test_the_page_says_where_a_networks_probabilities_lack_logits():
    inputs = keras.Input((8, 12, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    outputs = 0.5 * (1 + keras.ops.tanh(keras.layers.Dense(3)(x)))
    note = network_note(gc.Classifier("own", keras.Model(inputs, outputs)))
    assert note.startswith("3 classes, 0.0 million parameters. Photos are brought to ")
    assert "pixels and given from 0 to 255. Its outputs are probabilities whose logits could not be found. own" in note
    assert "own gives its probabilities in a way" in note


@pytest.fixture(scope="module")
def uploads(tmp_path_factory) -> list[str]:
    """Two photos and a file that is none."""
    folder = tmp_path_factory.mktemp("uploads")
    for seed, size in enumerate([(40, 24), (18, 30)]):
        noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(str(folder / f"{seed}.png"), noise)
    (folder / "text.png").write_text("This is not a picture.\n")
    return [str(folder / name) for name in ("0.png", "1.png", "text.png")]


@pytest.fixture(scope="module")
def shown(uploads) -> Shown:
    """A visitor who has chosen all that can be chosen, and nothing as it is by itself."""
    return Shown("own", uploads[0], 2, (3, 1), ("conv1", "add2"), "layercam", 0)


def rows(grid: tuple[gc.Explanation, ...]) -> list[int]:
    return [row.target.index for row in grid]


def values(answer: tuple) -> list:
    """What the lists of classes are set to: the class, those beside it, the one they are held against."""
    return [dropdown.value for dropdown in answer]


def is_left_alone(answer: object) -> bool:
    return all(part == gr.skip() for part in (answer if isinstance(answer, tuple) else (answer,)))


def event(**wish: object) -> gr.EventData:
    return gr.EventData(None, wish)


def refused(step, *arguments: object) -> str:
    with pytest.raises(gr.Error) as caught:
        step(*arguments)
    return caught.value.message


# --- another network ---


def test_another_network_keeps_no_class_and_no_layer_of_the_one_before(steps, shown):
    about, chosen, table, preset, after, *classes, grid = steps.network(OTHER, shown)
    other = gc.load(OTHER)
    assert after == Shown(OTHER, shown.photo, method="layercam")
    assert about.value == grid[0].network == OTHER
    assert preset == "stages"
    best = other.predict(gc.read_image(shown.photo), 1)[0].index
    assert rows(grid) == [best]
    assert values(classes) == [best, [], None]
    assert all(len(dropdown.choices) == len(other.labels) for dropdown in classes)
    assert list(grid[0].maps) == [layer.name for layer in gc.select(other, "stages")]
    assert chosen.value == list(grid[0].maps)
    assert len(table) == len(other.layers)


@pytest.mark.parametrize(("before", "after"), [("cam", "gradcam"), ("guided", "gradcam"), ("hirescam", "hirescam")])
def test_a_method_that_not_every_network_allows_makes_way(steps, before, after):
    answer = steps.network("own", Shown(OTHER, layers="last", method=before))
    assert answer[4].method == after
    assert answer[3] == answer[4].layers == "last"


def test_the_list_of_networks_says_which_are_here_and_which_would_be_fetched(network, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    first, *_ = choices = [text for text, _ in Networks(started=network).choices()]
    assert first == "own · from a file"
    assert {"VGG16 · fetch 553 MB", f"{OTHER} · {gc.NETWORKS[OTHER].megabytes} MB here"} < set(choices)


def test_the_network_that_is_chosen_already_changes_nothing(steps, shown):
    assert is_left_alone(steps.network("own", shown))


def test_without_a_photo_another_network_brings_its_classes(steps, network):
    *_, classes, beside, other, grid = steps.network("own", Shown(OTHER))
    assert grid is None
    assert [name for name, _ in classes.choices] == ["ape", "Bee", "cow calf", "dog"]
    assert classes.choices == beside.choices == other.choices


# --- another photo ---


def test_a_class_chosen_beforehand_holds_for_the_first_photo_alone(steps, uploads):
    before = Shown("own", None, 2, (1,), instead_of=0)
    after, *classes, grid = steps.photo(uploads[0], before)
    best = grid[0].predictions[0]
    shown_as = f"{best.name.replace('_', ' ')} · {best.text}"
    assert all(dropdown.choices[0] == (shown_as, best.index) for dropdown in classes)
    assert after == replace(before, photo=uploads[0])
    assert rows(grid) == [2, 1]
    assert values(classes) == [2, [1], 0]
    assert grid[0].instead_of.index == 0
    again, *classes, grid = steps.photo(uploads[1], after)
    assert again == Shown("own", uploads[1])
    assert values(classes) == [grid[0].predictions[0].index, [], None]
    assert grid[0].photo.shape == (18, 30, 3)


def test_a_photo_that_replaces_another_takes_no_class_over(steps, uploads, shown):
    """The browser takes the first away before it sends the second."""
    away, *_, grid = steps.clear(shown)
    assert grid is None
    away, *_ = steps.target(1, away)
    after, *_, grid = steps.photo(uploads[1], away)
    assert after == replace(shown, photo=uploads[1], target=None, beside=(), instead_of=None)
    assert list(grid[0].maps) == ["conv1", "add2"]


def test_the_same_photo_again_and_none_change_nothing(steps, shown):
    assert is_left_alone(steps.photo(shown.photo, shown))
    assert is_left_alone(steps.photo(None, shown))


def test_a_photo_that_cannot_be_used_brings_back_what_was_there(steps, uploads, shown):
    away, *_ = steps.clear(shown)
    assert "text.png is text, not a photo" in refused(steps.photo, uploads[2], away)
    photo, back, *classes, grid = steps.put_back(away)
    assert (photo, back) == (shown.photo, shown)
    assert rows(grid) == [2, 3, 1]
    assert values(classes) == [2, [3, 1], 0]


def test_taking_away_twice_still_brings_back_the_photo(steps, shown):
    away, *_ = steps.clear(shown)
    again, *_ = steps.clear(away)
    assert steps.put_back(again)[1] == shown


def test_what_comes_back_has_the_network_and_no_class_of_another(steps, shown):
    """The network was changed while the photo was away: index 2 is another class there."""
    away, *_ = steps.clear(shown)
    changed = steps.network(OTHER, away)[4]
    photo, back, *_, grid = steps.put_back(changed)
    assert photo == shown.photo
    assert back == Shown(OTHER, shown.photo, method="layercam")
    assert (grid[0].network, grid[0].target) == (OTHER, grid[0].predictions[0])


def test_what_was_set_while_the_photo_was_away_stays_set(steps, shown):
    away, *_ = steps.clear(shown)
    away, *_ = steps.method("gradcam", away)
    away, *_ = steps.preset("last", away)
    back, *_, grid = steps.put_back(away)[1:]
    assert (back.method, back.layers) == ("gradcam", "last")
    assert (back.target, back.beside, back.instead_of) == (2, (3, 1), 0)
    assert list(grid[0].maps) == ["relu3"]


def test_nothing_comes_back_on_a_page_that_was_empty(steps):
    photo, back, *rest = steps.put_back(Shown("own"))
    assert (photo, back) == (None, Shown("own"))
    assert is_left_alone(tuple(rest))


# --- other classes ---


@pytest.mark.parametrize(
    ("target", "beside", "instead_of"),
    [(1, (3,), 0), (3, (1,), 0), (0, (3, 1), None)],
    ids=["one beside", "the other beside", "the one held against"],
)
def test_a_class_is_shown_once_and_never_held_against_itself(steps, shown, target, beside, instead_of):
    after, *classes, grid = steps.target(target, shown)
    assert (after.target, after.beside, after.instead_of) == (target, beside, instead_of)
    assert rows(grid) == [target, *beside]
    assert values(classes) == [target, list(beside), instead_of]


def test_the_most_probable_class_is_not_shown_twice(steps, uploads):
    best = steps.photo(uploads[0], Shown("own"))[-1][0].target.index
    second = (best + 1) % 4
    after, *classes, grid = steps.beside([best, second], Shown("own", uploads[0]))
    assert rows(grid) == [best, second]
    assert values(classes) == [best, [second], None]
    assert after.target is None


def test_a_click_puts_a_class_beside_and_another_takes_it_away(steps, uploads):
    start = Shown("own", uploads[0], 2, (3,))
    after, *_, grid = steps.guess(event(index=1, beside=True), start)
    assert rows(grid) == [2, 3, 1]
    after, *_, grid = steps.guess(event(index=3, beside=True), after)
    assert rows(grid) == [2, 1]
    after, *_, grid = steps.guess(event(index=0), after)
    assert rows(grid) == [0, 1]


def test_a_class_comes_off_the_rows_when_the_others_are_held_against_it(steps, shown):
    after, *classes, grid = steps.instead_of(3, shown)
    assert (after.instead_of, after.beside) == (3, (1,))
    assert [row.instead_of.index for row in grid] == [3, 3]
    assert values(classes) == [2, [1], 3]
    after, *_, grid = steps.instead_of(None, after)
    assert grid[0].instead_of is None


def test_a_list_set_by_the_page_itself_changes_nothing(steps, shown):
    assert is_left_alone(steps.beside([3, 1], shown))
    assert is_left_alone(steps.instead_of(0, shown))
    assert is_left_alone(steps.method("layercam", shown))
    assert is_left_alone(steps.chosen(["add2", "conv1"], shown))


def test_three_classes_stand_beside_and_no_fourth(steps, uploads):
    start = Shown(OTHER, uploads[0], 0)
    assert rows(steps.beside([1, 2, 3], start)[-1]) == [0, 1, 2, 3]
    assert refused(steps.beside, [1, 2, 3, 4], start).startswith("At most 3 classes")


# --- other layers and methods ---


def test_layers_are_a_preset_or_a_list(steps, uploads, network):
    start = Shown("own", uploads[0])
    after, chosen, grid = steps.preset("all", start)
    assert list(grid[0].maps) == [layer.name for layer in network.layers]
    assert not chosen.visible
    stages = [layer.name for layer in gc.select(network, "stages")]
    after, chosen, grid = steps.preset("choose", after)
    assert list(after.layers) == chosen.value == list(grid[0].maps) == stages
    assert chosen.visible
    after, grid = steps.chosen(["add2", "conv1"], after)
    assert list(grid[0].maps) == ["conv1", "add2"]
    assert "at least one layer" in refused(steps.chosen, [], after)


def test_a_list_of_layers_that_is_not_shown_changes_nothing(steps, uploads):
    assert is_left_alone(steps.chosen(["conv1"], Shown("own", uploads[0])))


# --- tests of the maps ---


def test_other_maps_take_the_findings_away_and_name_those_that_can_be_hidden(steps, shown):
    found, sane, layers, hidden = steps.renew(shown)
    assert (found, sane, hidden) == ("", "", "")
    assert [name for name, _ in layers.choices] == ["conv1", "add2"]
    assert layers.value == "add2"
    assert steps.renew(Shown("own"))[2].value is None


@pytest.mark.parametrize("percent", [-1, 101, float("nan"), "5", None])
def test_no_other_share_than_from_0_to_100_is_hidden(steps, shown, percent):
    assert "from 0 to" in refused(steps.hide, "add2", percent, shown)


def test_the_share_that_is_asked_for_is_hidden_where_the_chosen_map_is_hot(steps, network, shown):
    from gradcam_core.faithfulness import hide_hottest
    from ui.map_tests import hidden_html

    settings = {"method": "layercam", "instead_of": 0}
    found = gc.explain(network, shown.photo, 2, ["conv1", "add2"], **settings)
    expected = hide_hottest(network, found.photo, 2, found.maps["conv1"].heat, 0.35)
    assert steps.hide("conv1", 35, shown) == hidden_html(expected, found.target)


def test_a_map_that_is_not_shown_is_not_hidden(steps, shown):
    for layer in ("relu2", "nowhere", 3, None):
        assert refused(steps.hide, layer, 20, shown).startswith("This map is no longer shown.")


# --- two visitors ---


def test_only_the_visitor_who_stops_is_stopped(steps, uploads):
    """One who stops in the middle of their own passes ends those, and nobody else's."""

    def score_cam(of: str, stops: str) -> object:
        LocalContext.request.set(gr.Request(session_hash=of))

        def progress(*_, **__) -> None:
            LocalContext.request.set(gr.Request(session_hash=stops))
            steps.stop()
            LocalContext.request.set(gr.Request(session_hash=of))

        return steps.method("scorecam", Shown("own", uploads[1], layers="last"), progress)

    try:
        with pytest.raises(gr.Error, match="What is shown stays"):
            score_cam("first", stops="first")
        assert score_cam("first", stops="second")[-1][0].method == "scorecam"  # and the first goes on
    finally:
        LocalContext.request.set(None)


def test_the_sanity_check_is_of_the_maps_that_are_shown(steps, network, shown):
    from gradcam_core.trust import sanity_check
    from ui.map_tests import sanity_html

    photo = gc.read_image(shown.photo)
    settings = {"method": "layercam", "instead_of": 0}
    check = sanity_check(network, photo, 2, ["conv1", "add2"], draws=2, **settings)
    assert steps.sanity(shown) == sanity_html(check, "cow_calf")
