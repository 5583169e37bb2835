"""Tests of heat maps: hiding, and keeping, what they mark."""

import re

import keras
import numpy as np
import pytest
from tiny_networks import SIDE, StoppedError, cam_network, deep_network, noise, staged_network, stop_at

from gradcam_core import NETWORKS, NetworkError, PhotoError, SettingError, TargetError, explain, load
from gradcam_core.networks.classifier import Classifier
from gradcam_core.trust import (
    assess,
    average_drop,
    centre_blob,
    curves_of_maps,
    hide_hottest,
    increase_in_confidence,
    keep_hottest,
    perturbation_curves,
    random_map,
)
from gradcam_core.trust.sanity import rank_correlation

REGION = np.s_[2:6, 3:9]  # 24 of the 144 pixels
DARK = 0.2  # mean red of the region, of 1, where both classes are as likely


def region_network(preprocess=None) -> Classifier:
    """Class "lit" has the logit 5 * (mean red of the region - 0.2), class "dark" has 0."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(1, 1, name="red")(x)
    x = keras.layers.Conv2D(2, SIDE, name="region")(x)
    outputs = keras.layers.Softmax()(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    region = np.zeros((SIDE, SIDE, 1, 2))
    region[REGION] = 5 / 24, 0
    model.set_weights([np.float32([1, 0, 0]).reshape(1, 1, 3, 1), np.zeros(1), region, np.float32([-5 * DARK, 0])])
    return Classifier("region", model, ["lit", "dark"], preprocess=preprocess)


def lit(image: np.ndarray) -> float:
    """What `region_network` answers, in NumPy."""
    return 1 / (1 + np.exp(-5 * (image[REGION][..., 0].mean() / 255 - DARK)))


def lamp() -> np.ndarray:
    """A photo that is red in the region, and black."""
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    photo[REGION] = 255, 0, 0
    return photo


def of_region() -> np.ndarray:
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[REGION] = 1
    return heat


def halves(mask: np.ndarray) -> list[float]:
    """The share of the mask in the upper half, in the left half, and in the middle quarter."""
    h, w = mask.shape
    middle = mask[h // 4 : -h // 4, w // 4 : -w // 4]
    return [mask[: h // 2].sum() / mask.sum(), mask[:, : w // 2].sum() / mask.sum(), middle.sum() / mask.sum()]


# --- deletion and insertion ---


def test_a_map_of_what_the_network_looks_at_has_the_curves_that_follow_on_paper():
    curves = perturbation_curves(region_network(), lamp(), "lit", of_region(), steps=6)
    mean = np.full((SIDE, SIDE, 3), round(255 * 24 / 144), np.uint8)
    np.testing.assert_allclose(curves.deletion, [lit(lamp())] + 6 * [lit(mean)], atol=1e-6)
    np.testing.assert_allclose(curves.insertion[1:], 6 * [lit(lamp())], atol=1e-6)
    assert lit(mean) < curves.insertion[0] < lit(lamp())  # a blur leaves some of the red where it was
    np.testing.assert_allclose(curves.shares, np.arange(7) / 6)
    first, rest = (lit(lamp()) + lit(mean)) / 2, lit(mean)
    assert curves.deletion_area == pytest.approx((first + 5 * rest) / 6, abs=1e-6)
    assert curves.insertion_area == pytest.approx(lit(lamp()) - (lit(lamp()) - curves.insertion[0]) / 12, abs=1e-6)


def test_the_curves_are_those_of_a_plain_loop_over_the_pixels():
    photo = noise(SIDE)
    heat = np.random.default_rng(1).permutation(SIDE * SIDE).reshape(SIDE, SIDE).astype(np.float32) / SIDE**2
    curves = perturbation_curves(region_network(), photo, "lit", heat, steps=9)
    hidden, brought = photo.copy(), blurred_by_hand(photo)
    mean = np.rint(photo.reshape(-1, 3).mean(0))
    deletion, insertion = [lit(hidden)], [lit(brought)]
    hottest_first = sorted(np.ndindex(SIDE, SIDE), key=lambda pixel: -heat[pixel])
    for start in range(0, SIDE * SIDE, 16):
        for pixel in hottest_first[start : start + 16]:
            hidden[pixel] = mean
            brought[pixel] = photo[pixel]
        deletion.append(lit(hidden))
        insertion.append(lit(brought))
    np.testing.assert_allclose(curves.deletion, deletion, atol=1e-6)
    np.testing.assert_allclose(curves.insertion, insertion, atol=1e-3)  # OpenCV's blur counts in fractions of 1/256


def blurred_by_hand(photo: np.ndarray) -> np.ndarray:
    """The photo under a Gaussian blur of a tenth of its side, by a plain sum, with the border reflected."""
    reach = 6
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * (SIDE / 10) ** 2))
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    padded = np.pad(photo.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    blurred = np.zeros(photo.shape)
    for dy, dx in np.ndindex(kernel.shape):
        blurred += kernel[dy, dx] * padded[dy : dy + SIDE, dx : dx + SIDE]
    return np.rint(blurred).astype(np.uint8)


def test_a_coarse_map_is_laid_over_the_whole_photo():
    photo = np.tile(np.linspace(0, 255, SIDE)[:, None, None], (1, SIDE, 3)).astype(np.uint8)
    lower = hide_hottest(region_network(), photo, "lit", np.array([[0.0], [1.0]]), 0.5)
    np.testing.assert_array_equal((lower.photo != photo).any((1, 2)), [False] * 6 + [True] * 6)


def test_several_maps_at_once_have_the_curves_of_each_alone():
    network = deep_network()
    heats = {"random": random_map((5, 5), 1), "centre": centre_blob((7, 7)), "empty": np.zeros((4, 4))}
    together = curves_of_maps(network, noise(), 1, heats, steps=5)
    assert list(together) == list(heats)
    for name, heat in heats.items():
        alone = perturbation_curves(network, noise(), 1, heat, steps=5)
        np.testing.assert_allclose(together[name].deletion, alone.deletion, atol=1e-6)
        np.testing.assert_allclose(together[name].insertion, alone.insertion, atol=1e-6)


def test_one_step_has_only_its_two_ends():
    curves = perturbation_curves(region_network(), lamp(), "lit", of_region(), steps=1)
    assert len(curves.deletion) == len(curves.insertion) == 2
    assert curves.insertion[1] == curves.deletion[0] == pytest.approx(lit(lamp()), abs=1e-6)


def test_pixels_of_equal_heat_are_taken_from_everywhere_and_always_the_same():
    network = staged_network()
    photo = np.full((72, 72, 3), 200, np.uint8)
    photo[::2] = 10
    masks = [
        (hide_hottest(network, photo, 0, np.full((9, 9), value), 0.25).photo != photo).any(-1) for value in (1, 0.3)
    ]
    np.testing.assert_array_equal(*masks)
    assert masks[0].mean() == pytest.approx(0.25)
    np.testing.assert_allclose(halves(masks[0]), [0.5, 0.5, 0.25], atol=0.15)


def test_equal_heat_never_goes_before_higher_heat():
    heat = np.zeros((SIDE, SIDE))
    heat[0, :6], heat[-1] = 0.5, 1
    hidden = hide_hottest(region_network(), np.uint8(200) + noise(SIDE) % 20, "lit", heat, 20 / 144)
    original = hide_hottest(region_network(), np.uint8(200) + noise(SIDE) % 20, "lit", heat, 0)
    changed = (hidden.photo != original.photo).any(-1)
    assert changed[-1].all()
    assert changed[0, :6].all()
    assert changed.sum() == 20


def test_what_is_hidden_goes_the_photos_own_way_through_the_preprocessing():
    network = region_network(preprocess=lambda batch: batch[..., ::-1])
    blue_lamp = np.kron(lamp()[..., ::-1], np.ones((4, 4, 1), np.uint8))
    assert perturbation_curves(network, blue_lamp, 0, of_region()).deletion[0] == pytest.approx(lit(lamp()), abs=1e-6)


@pytest.mark.parametrize("shape", [(72, 72), (300, 211), (31, 50), (40, 200)])
def test_a_photo_with_nothing_hidden_is_what_the_network_is_given_anyway(shape):
    network = staged_network()
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    hidden = hide_hottest(network, photo, None, centre_blob((9, 9)), 0)
    np.testing.assert_array_equal(network.to_input(hidden.photo), network.to_input(photo))
    for one, other in zip(hidden.predictions, network.predict(photo), strict=True):
        assert one.index == other.index
        assert one.probability == pytest.approx(other.probability, abs=1e-5)
    assert hidden.target == hidden.predictions[0]


def test_many_photos_at_once_have_the_logits_of_each_alone_and_one_trace_serves_them():
    for network in (deep_network(), cam_network(activation="sigmoid", classes=1), cam_network(activation="sigmoid")):
        batch = np.concatenate([network.to_input(noise(seed=seed)) for seed in range(5)])
        logits = network.predict_logits(batch)
        assert logits.dtype == np.float32
        for row, photo in zip(logits, batch, strict=True):
            np.testing.assert_allclose(row, network.predict_logits(photo[np.newaxis])[0], atol=1e-5)
        compiled = network._forward
        network.predict_logits(batch[:2])
        assert network._forward is compiled


def test_progress_counts_photos_up_to_their_number():
    calls = []
    perturbation_curves(
        staged_network(), noise(80), 0, centre_blob((9, 9)), steps=40, progress=lambda *call: calls.append(call)
    )
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {3 + 2 * 39}
    assert list(done) == sorted(set(done))
    assert done[-1] == totals[0]
    assert len(calls) > 1


def test_what_progress_raises_ends_the_test():
    progress, calls = stop_at(2)
    with pytest.raises(StoppedError):
        perturbation_curves(staged_network(), noise(80), 0, centre_blob((9, 9)), steps=60, progress=progress)
    assert calls[-1][0] < calls[-1][1]


def test_values_that_are_not_numbers_are_refused_with_a_sentence():
    network = region_network()
    network.model.get_layer("region").bias.assign([np.nan, 0])
    with pytest.raises(NetworkError, match="not numbers"):
        perturbation_curves(network, lamp(), 0, of_region())


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"steps": 0}, SettingError, "number of steps.*not 0"),
        ({"steps": 2.5}, SettingError, r"number of steps.*not 2\.5"),
        ({"heat": np.full((3, 3), 2.0)}, SettingError, "from 0 to 1"),
        ({"target": "moon"}, TargetError, "moon"),
        ({"photo": "no such file.jpg"}, PhotoError, "no such file"),
    ],
)
def test_wrong_arguments_are_named(wrong, error, sentence):
    arguments = {"photo": lamp(), "target": "lit", "heat": of_region()} | wrong
    with pytest.raises(error, match=sentence):
        perturbation_curves(region_network(), **arguments)


# --- baselines ---


def test_random_maps_favour_no_side():
    for shape in ((72, 72), (60, 110)):
        hottest = np.mean([random_map(shape, seed) > 0.6 for seed in range(60)], axis=0)
        np.testing.assert_allclose(halves(hottest), [0.5, 0.5, 0.25], atol=0.02)


def test_a_random_map_is_the_same_for_its_seed_and_another_for_the_next():
    np.testing.assert_array_equal(random_map((30, 20), 4), random_map((30, 20), 4))
    assert abs(rank_correlation(random_map((140, 140), 4), random_map((140, 140), 5))) < 0.2
    assert random_map((30, 20), 4).dtype == np.float32


def test_a_random_map_has_patches_and_no_lone_pixels():
    values = random_map((224, 224), 0)
    assert 0 <= values.min() < 0.05 < 0.95 < values.max() <= 1
    assert np.abs(np.diff(values, axis=0)).max() <= 1 / 15


def test_the_centre_blob_is_a_gaussian_in_the_centre():
    blob = centre_blob((41, 81))
    assert np.unravel_index(blob.argmax(), blob.shape) == (20, 40)
    assert blob.max() == 1
    assert blob.dtype == np.float32
    assert blob[20 + 10, 40] == pytest.approx(np.exp(-((10 / 10.25) ** 2) / 2))
    np.testing.assert_allclose(blob, blob[::-1, ::-1])


# --- the hottest share hidden, and the rest hidden ---


def test_hiding_the_hottest_share_gives_the_photo_and_what_the_network_says():
    hidden = hide_hottest(region_network(), lamp(), "lit", of_region(), 24 / 144)
    np.testing.assert_array_equal(hidden.photo[REGION], np.tile(np.uint8([42, 0, 0]), (4, 6, 1)))
    assert not hidden.photo[0].any()
    assert hidden.photo.dtype == np.uint8
    assert hidden.share == pytest.approx(24 / 144)
    assert hidden.target.name == "lit"
    assert hidden.target.probability == pytest.approx(lit(hidden.photo), abs=1e-6)
    assert [p.name for p in hidden.predictions] == ["dark", "lit"]


def test_the_whole_photo_hidden_is_its_mean_colour():
    hidden = hide_hottest(region_network(), noise(SIDE), "lit", of_region(), 1)
    assert (hidden.photo == hidden.photo[0, 0]).all()


def test_an_empty_map_hides_nothing():
    hidden = hide_hottest(region_network(), lamp(), "lit", np.zeros((4, 4)), 0.5)
    np.testing.assert_array_equal(hidden.photo, lamp())
    assert hidden.share == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, "half", True, float("nan")])
def test_the_share_to_hide_is_checked(share):
    with pytest.raises(SettingError, match="from 0 to 1"):
        hide_hottest(region_network(), lamp(), "lit", of_region(), share)


def test_only_what_is_hot_is_kept_with_its_heat_as_light():
    whole, explained = keep_hottest(region_network(), lamp(), "lit", of_region() * 0.6)
    assert whole == pytest.approx(lit(lamp()), abs=1e-6)
    assert explained == pytest.approx(lit(lamp() * 0.6), abs=1e-6)
    assert keep_hottest(region_network(), lamp(), "lit", of_region()) == pytest.approx((whole, whole), abs=1e-6)


def test_the_drop_is_a_share_of_what_there_was_and_never_below_zero():
    assert average_drop(0.8, 0.6) == pytest.approx(25)
    assert average_drop(0.6, 0.8) == 0
    assert average_drop(0.0, 0.0) == 0
    assert average_drop(np.array([0.8, 0.6, 0.5]), np.array([0.6, 0.8, 0.0])) == pytest.approx(125 / 3)


def test_the_increase_counts_photos_that_gain():
    assert increase_in_confidence(0.6, 0.8) == 100
    assert increase_in_confidence(0.6, 0.6) == 0
    assert increase_in_confidence(np.array([0.8, 0.6, 0.5]), np.array([0.6, 0.8, 0.0])) == pytest.approx(100 / 3)


# --- all maps of an explanation ---


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
        f"hiding the 17 % that red marks lowers lit from {100 * before:.0f} % to {100 * after:.0f} %; "
        f"hiding 17 % at random lowers it to {100 * random:.0f} %"
    )
    assert result.target.name == "lit"


def test_a_map_that_marks_more_is_tested_by_its_hottest_fifth():
    network = region_network()
    photo = np.maximum(lamp(), np.uint8([20, 0, 0]))
    found = assess(network, explain(network, photo, "lit"))
    assert found.maps["red"].share == pytest.approx(29 / 144)
    assert found.maps["red"].sentence.startswith("hiding the 20 % that red marks lowers lit from 98 % to ")
    assert found.random.hidden == pytest.approx(at_random(photo, 29), abs=1e-6)
    assert re.fullmatch(r"hiding 20 % at random (lowers lit from 98 % to|leaves lit at) \d+ %", found.random.sentence)
    assert found.centre.sentence.startswith("hiding the 20 % in the centre lowers lit from 98 % to ")


def test_a_probability_that_rises_is_said_to_rise():
    network = region_network()
    kernel, bias = network.model.get_layer("red").get_weights()
    network.model.get_layer("red").set_weights([-kernel, bias + 1])  # it looks for what is not red
    photo = np.full((SIDE, SIDE, 3), 255, np.uint8)
    photo[REGION] = 255, 0, 0
    photo[0] = 0
    sentence = assess(network, explain(network, photo, "lit")).maps["red"].sentence
    assert re.match(
        r"hiding the 8\.3 % that red marks leaves lit at 27 %; hiding 8\.3 % at random raises it to", sentence
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
        number, name = r"(< )?[\d.]+ %", result.target.name
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
