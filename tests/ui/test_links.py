"""A link opens the page with what it asks for; what is not there is left out, with a word."""

import warnings

import gradio as gr
import pytest
from tiny_networks import deep_network

import gradcam_core as gc
from ui.choices import PRESETS, Networks
from ui.showing import Shown
from ui.visit import Steps

OTHER = next(iter(gc.NETWORKS))

# The choices lie in the browser; here the page's lists have none.
pytestmark = pytest.mark.filterwarnings("ignore:The value passed into gr.Dropdown")


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> Steps:
    network = gc.Classifier("own", deep_network().model, ["ape", "bee", "cow", "dog"])
    return Steps(Networks(started=network), str(tmp_path_factory.mktemp("cache")))


def opened(steps: Steps, **asked: str) -> tuple:
    """-> shown, network, class, compared classes, class held against them, preset, chosen layers, table, method, score,
    evidence, smoothing, overlay, fusion.
    """
    return steps.open(Shown("own"), gr.Request(query_params=asked, session_hash="a"))


def warned(steps: Steps, **asked: str) -> tuple[tuple, list[str]]:
    """The same, and what the page said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = opened(steps, **asked)
    said = [str(warning.message) for warning in caught if "gr.Dropdown" not in str(warning.message)]
    return answer, said


def test_a_link_is_followed_in_all_that_it_asks_for(steps):
    asked = {"class": "cow", "beside": "dog,1,cow", "instead_of": "ape", "method": "layercam", "layers": "add2,conv1"}
    asked |= {"score": "probability", "evidence": "against", "smoothing": "noise", "mode": "add", "fusion": "product"}
    shown, about, target, beside, other, preset, chosen, table, method, *more = opened(steps, **asked)
    assert shown == Shown("own", None, 2, (3, 1), ("conv1", "add2"), "layercam", 0, "probability", True, "noise")
    assert more == ["probability", "against", "noise", "add", "product"]
    assert (about.value, target.value, beside.value, other.value) == ("own", 2, [3, 1], 0)
    assert (method, preset, chosen.value, chosen.visible) == ("layercam", "choose", ["conv1", "add2"], True)
    assert [row[1].removesuffix(" ★") for row in table] == [name for name, _ in layers_of(steps)]
    stages = [layer.name for layer in gc.select(deep_network(), "stages")]
    assert [row[1] for row in table if row[1].endswith("★")] == [f"{name} ★" for name in stages]


def layers_of(steps: Steps) -> list[tuple[str, str]]:
    return [(layer.name, layer.kind) for layer in deep_network().layers]


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "choose"])
def test_a_link_may_name_a_choice_of_layers(steps, preset):
    shown, *_, named, chosen, _, _, _, _, _, mode, fusion = opened(steps, layers=preset, mode="x", fusion="y")
    assert (mode, fusion) == ("alpha", "none")
    assert (shown.layers, named, chosen.visible) == (preset, preset, False)


def test_a_page_without_a_link_is_as_it_starts(steps):
    answer, said = warned(steps)
    assert answer[0] == Shown("own")
    assert said == []


def test_a_link_to_another_network_has_that_ones_classes(steps):
    answer, said = warned(steps, network=OTHER, **{"class": gc.load(OTHER).labels[5].name})
    assert answer[0] == Shown(OTHER, None, 5)
    assert len(answer[2].choices) == len(gc.load(OTHER).labels)
    assert said == []


def test_a_class_is_not_held_against_itself_by_a_link(steps):
    assert opened(steps, **{"class": "bee", "instead_of": "1"})[0].instead_of is None


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"class": "unicorn"}, "unicorn"),
        ({"beside": "cow,unicorn"}, "unicorn"),
        ({"instead_of": "4"}, "4"),
        ({"method": "magic"}, "magic"),
        ({"method": "cam"}, "CAM"),
        ({"method": "eigencam", "evidence": "against"}, "Eigen-CAM"),
        ({"method": "scorecam", "smoothing": "flips"}, "Score-CAM"),
        ({"score": "points"}, "points"),
        ({"evidence": "both"}, "both"),
        ({"smoothing": "much"}, "much"),
        ({"layers": "relu9"}, "relu9"),
        ({"layers": "choose"}, "choose"),
    ],
    ids=str,
)
def test_what_is_not_there_is_left_out_whole(steps, asked, word):
    answer, (said,) = warned(steps, **{"method": "layercam", "class": "cow", **asked})
    assert said.startswith("The link asks for something else: ")
    assert word in said
    assert answer[0] == Shown("own")


def test_a_network_that_is_not_there_makes_way_for_the_one_that_is_always_there(steps):
    answer, (said,) = warned(steps, network="VGG1")
    assert "VGG16" in said
    assert answer[0].network == OTHER
    assert answer[1].value == OTHER
