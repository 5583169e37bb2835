"""All maps of an explanation put to the tests."""

import re

import keras
import numpy as np
import pytest
from region import REGION, lamp, lit, of_region, region_network
from tiny_networks import SIDE, deep_network, noise, staged_network

from gradcam_core import NETWORKS, SettingError, explain, load
from gradcam_core.networks.classifier import Classifier
from gradcam_core.networks.measures import percent
from gradcam_core.trust import (
    assess,
    average_drop,
    centre_blob,
    hide_hottest,
    increase_in_confidence,
    keep_hottest,
    perturbation_curves,
    random_map,
)


def at_random(photo: np.ndarray, count: int) -> float:
    """The mean probability of "lit" with this many pixels hidden by three random maps."""
    found = []
    for seed in range(3):
        hidden = photo.copy()
        hidden.reshape(-1, 3)[np.argsort(-random_map((SIDE, SIDE), seed).ravel())[:count]] = np.rint(photo.mean((0, 1)))
        found.append(lit(hidden))
    return np.mean(found)


def test_the_finding_is_said_in_one_sentence():
    network = region_network()
    result = assess(network, explain(network, lamp(), "lit"))
    found = result.maps["red"]
    hidden = hide_hottest(network, lamp(), "lit", of_region(), 24 / 144).photo
    before, after, random = lit(lamp()), lit(hidden), at_random(lamp(), 24)
    assert found.share == pytest.approx(24 / 144)  # it marks no more than that
    assert found.hidden == pytest.approx(after, abs=1e-6)
    assert found.hidden_at_random == pytest.approx(random, abs=1e-6)
    assert found.sentence == (
        f"hiding the 16.7 % that red marks lowers lit from {percent(before)} to {percent(after)}; "
        f"hiding 16.7 % at random lowers it to {percent(random)}"
    )
    assert result.target.name == "lit"


def test_a_map_that_marks_more_is_tested_by_its_hottest_fifth():
    network = region_network()
    photo = np.maximum(lamp(), np.uint8([20, 0, 0]))
    found = assess(network, explain(network, photo, "lit"))
    assert found.maps["red"].share == pytest.approx(29 / 144)
    assert found.maps["red"].sentence.startswith(
        f"hiding the 20.1 % that red marks lowers lit from {percent(lit(photo))} to "
    )
    assert found.random.hidden == pytest.approx(at_random(photo, 29), abs=1e-6)
    before = percent(lit(photo))
    assert found.maps["red"].sentence.startswith(f"hiding the 20.1 % that red marks lowers lit from {before} to ")
    assert re.fullmatch(
        rf"hiding 20.1 % at random (lowers lit from {before} to|leaves lit at) [\d.]+ %", found.random.sentence
    )
    assert found.centre.sentence.startswith(f"hiding the 20.1 % in the centre lowers lit from {before} to ")


def test_a_probability_that_rises_is_said_to_rise():
    network = region_network()
    kernel, bias = network.model.get_layer("red").get_weights()
    network.model.get_layer("red").set_weights([-kernel, bias + 1])  # it looks for what is not red
    photo = np.full((SIDE, SIDE, 3), 255, np.uint8)
    photo[REGION] = 255, 0, 0
    photo[0] = 0
    sentence = assess(network, explain(network, photo, "lit")).maps["red"].sentence
    assert re.match(
        r"hiding the 8\.3 % that red marks leaves lit at 26\.9 %; hiding 8\.3 % at random raises it to", sentence
    )


def test_a_map_is_measured_as_it_would_be_alone():
    network = region_network()
    photo = noise(SIDE)
    explanation = explain(network, photo, "lit")
    result = assess(network, explanation, steps=8)
    of_layer = explanation.maps["red"].heat
    for found, heat in ((result.maps["red"], of_layer), (result.centre, centre_blob((SIDE, SIDE)))):
        alone = perturbation_curves(network, photo, "lit", heat, steps=8)
        np.testing.assert_allclose(found.curves.deletion, alone.deletion, atol=1e-6)
        np.testing.assert_allclose(found.curves.insertion, alone.insertion, atol=1e-6)
        whole, explained = keep_hottest(network, photo, "lit", heat)
        assert found.drop == pytest.approx(average_drop(whole, explained), abs=1e-3)
        assert found.increase == increase_in_confidence(whole, explained)
        assert found.hidden == pytest.approx(hide_hottest(network, photo, "lit", heat, found.share).target.probability)


def test_an_empty_map_says_that_there_is_nothing_to_hide():
    network = region_network()
    result = assess(network, explain(network, lamp(), "dark"))
    assert result.maps["red"].sentence == "red marks nothing, so there is nothing to hide"
    assert result.maps["red"].curves is None
    assert result.random.curves is not None


def test_a_layer_may_be_called_like_a_baseline():
    names = ["random", "centre"]
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(2, 1, activation="relu", name=names[0])(inputs)
    x = keras.layers.Conv2D(2, 1, activation="relu", name=names[1])(x)
    network = Classifier("odd", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    result = assess(network, explain(network, noise(SIDE), layers="all"), steps=2)
    assert list(result.maps) == names
    assert all(name in found.sentence for name, found in result.maps.items())


def test_an_explanation_of_another_network_is_refused():
    with pytest.raises(SettingError, match="of deep, not of region"):
        assess(region_network(), explain(deep_network(), noise()))


def test_a_real_network_is_assessed_end_to_end(photos):
    network = load(next(iter(NETWORKS)))
    explanation = explain(network, photos / "landscape.jpg")
    calls = []
    result = assess(network, explanation, progress=lambda *call: calls.append(call))
    assert result.target == explanation.target
    assert list(result.maps) == list(explanation.maps)
    marked = [found for found in result.maps.values() if found.curves]
    assert calls[-1][0] == calls[-1][1] >= 3 + 32 * len(marked) + 32 + 36
    assert marked
    for found in (*marked, result.random, result.centre):
        for curve in (found.curves.deletion, found.curves.insertion):
            assert curve.shape == (17,)
            assert curve.dtype == np.float32
            assert 0 <= curve.min() <= curve.max() <= 1
        assert found.curves.deletion[0] == pytest.approx(explanation.target.probability, abs=1e-5)
        assert found.curves.insertion[-1] == found.curves.deletion[0]
        assert 0 <= found.curves.deletion_area <= 1
        assert 0 <= found.drop <= 100
        number, name = r"<?[\d.]+ %", result.target.name
        change = f"(lowers|raises) {name} from {number} to {number}|leaves {name} at {number}"
        assert re.match(f"hiding (the )?{number} .*({change})", found.sentence)


def test_the_same_photo_gives_the_same_numbers_again(photos):
    network = staged_network()
    one, other = (assess(network, explain(network, photos / "landscape.jpg", layers="last"), 4) for _ in range(2))
    pairs = [(one.random, other.random), (one.centre, other.centre)]
    pairs += [(found, other.maps[name]) for name, found in one.maps.items()]
    for a, b in pairs:
        assert a.sentence == b.sentence
        np.testing.assert_array_equal(a.curves.deletion, b.curves.deletion)
