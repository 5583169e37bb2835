"""The tests of heat maps on a network whose input is not square, written out photo by photo."""

import keras
import numpy as np
import pytest
from tiny_networks import noise

from gradcam_core import Classifier, explain
from gradcam_core.networks.measures import percent
from gradcam_core.pictures.render import resize_heat
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

HEIGHT, WIDTH = 12, 20
PIXELS = HEIGHT * WIDTH
REGION = np.s_[2:6, 9:17]  # 32 of 240 pixels


def region_network() -> Classifier:
    """Class "lit" has the logit 5 * (mean red of the region - 0.4), class "dark" has 0."""
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(1, 1, name="red")(x)
    x = keras.layers.Conv2D(2, (HEIGHT, WIDTH), name="region")(x)
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Flatten()(x)))
    region = np.zeros((HEIGHT, WIDTH, 1, 2))
    region[REGION] = 5 / 32, 0
    model.set_weights([np.float32([1, 0, 0]).reshape(1, 1, 3, 1), np.zeros(1), region, np.float32([-2, 0])])
    return Classifier("region", model, ["lit", "dark"])


def lit(image: np.ndarray) -> float:
    """What `region_network` answers, in NumPy."""
    return 1 / (1 + np.exp(2 - 5 * image[REGION][..., 0].mean() / 255))


def hidden(photo: np.ndarray, heat: np.ndarray, count: int, by: np.ndarray | None = None) -> np.ndarray:
    """The photo with its hottest pixels replaced, by its mean colour where nothing else is said."""
    changed = photo.copy()
    by = np.broadcast_to(np.rint(photo.reshape(-1, 3).mean(0)).astype(np.uint8), photo.shape) if by is None else by
    hottest = np.argsort(-heat.ravel(), kind="stable")[:count]
    changed.reshape(-1, 3)[hottest] = by.reshape(-1, 3)[hottest]
    return changed


def blurred(photo: np.ndarray) -> np.ndarray:
    """Under a Gaussian blur of a tenth of the shorter side, one axis after the other, the border reflected."""
    reach = 6
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * (min(photo.shape[:2]) / 10) ** 2))
    weights /= weights.sum()
    padded = np.pad(photo.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    rows = sum(w * padded[k : k + photo.shape[0]] for k, w in enumerate(weights))
    return np.rint(sum(w * rows[:, k : k + photo.shape[1]] for k, w in enumerate(weights)))


PHOTO = noise(HEIGHT, width=WIDTH)
HEAT = np.random.default_rng(1).permutation(PIXELS).reshape(HEIGHT, WIDTH).astype(np.float32) / PIXELS


def test_the_curves_are_those_of_a_plain_loop_over_the_pixels():
    curves = perturbation_curves(region_network(), PHOTO, "lit", HEAT, steps=7)
    counts = [round(step * PIXELS / 7) for step in range(8)]
    np.testing.assert_allclose(curves.deletion, [lit(hidden(PHOTO, HEAT, count)) for count in counts], atol=1e-6)
    start = blurred(PHOTO)
    insertion = [lit(hidden(start, HEAT, count, by=PHOTO)) for count in counts]
    np.testing.assert_allclose(curves.insertion, insertion, atol=2e-3)  # OpenCV's blur counts in fractions of 1/256


def test_a_coarse_map_is_laid_over_the_whole_photo():
    heat = np.float32([[0, 0, 1]])  # the right third
    found = hide_hottest(region_network(), PHOTO, "lit", heat, 0.2)
    assert found.photo.shape == (HEIGHT, WIDTH, 3)
    changed = (found.photo != PHOTO).any(-1)
    assert changed[:, -4:].mean() > 0.95  # a pixel may have the mean colour already
    assert not changed[:, :-4].any()
    upper = hide_hottest(region_network(), PHOTO, "lit", np.float32([[1], [0]]), 0.25)
    assert not (upper.photo != PHOTO)[3:].any()


def test_what_is_lit_by_a_coarse_map_is_the_photo_times_it():
    heat = np.random.default_rng(3).random((3, 4), np.float32)
    whole, explained = keep_hottest(region_network(), PHOTO, "lit", heat)
    assert whole == pytest.approx(lit(PHOTO), abs=1e-6)
    times = np.rint(PHOTO * resize_heat(heat, width=WIDTH, height=HEIGHT)[..., None])
    assert explained == pytest.approx(lit(times), abs=1e-6)


def test_every_point_of_the_random_curves_is_a_random_map_of_its_own():
    network = region_network()
    found = assess(network, explain(network, PHOTO, "lit"), steps=6).random
    maps = [random_map((HEIGHT, WIDTH), seed) for seed in range(5)]
    counts = [round(step * PIXELS / 6) for step in range(1, 6)]
    deletion = [lit(hidden(PHOTO, heat, count)) for heat, count in zip(maps, counts, strict=True)]
    np.testing.assert_allclose(found.curves.deletion[1:-1], deletion, atol=1e-6)
    assert np.ptp([lit(hidden(PHOTO, heat, counts[2])) for heat in maps]) > 0.01  # so that it matters which
    insertion = [lit(hidden(blurred(PHOTO), heat, n, by=PHOTO)) for heat, n in zip(maps, counts, strict=True)]
    np.testing.assert_allclose(found.curves.insertion[1:-1], insertion, atol=2e-3)
    assert found.curves.deletion[0] == found.curves.insertion[-1] == pytest.approx(lit(PHOTO), abs=1e-6)


def test_what_random_maps_hide_and_light_is_the_mean_of_three_draws():
    network = region_network()
    result = assess(network, explain(network, PHOTO, "lit"), steps=2)
    maps = [random_map((HEIGHT, WIDTH), seed) for seed in range(3)]
    for test in (result.random, result.centre, result.maps["red"]):
        count = round(test.share * PIXELS)
        assert test.hidden_at_random == pytest.approx(np.mean([lit(hidden(PHOTO, m, count)) for m in maps]), abs=1e-6)
    assert result.random.share == result.centre.share == pytest.approx(48 / PIXELS)
    assert result.random.hidden == result.random.hidden_at_random
    explained = np.array([lit(np.rint(PHOTO * heat[..., None])) for heat in maps])
    assert np.ptp(explained) > 0.01
    whole = np.full(3, lit(PHOTO))
    assert result.random.drop == pytest.approx(average_drop(whole, explained), abs=1e-3)
    assert result.random.increase == pytest.approx(increase_in_confidence(whole, explained))


def test_a_gain_by_some_of_the_draws_is_their_share():
    """The light of the region is what "dark" fears, and a random map dims it more or less."""
    network = region_network()
    result = assess(network, explain(network, PHOTO, "dark"), steps=1)
    assert result.random.increase == 100
    assert result.random.drop == 0


def test_draws_that_gain_are_counted_beside_those_that_lose():
    """The class wants red in one region and none in another; a random map dims more of the first, or of the second."""
    network = region_network()
    kernel, bias = network.model.get_layer("region").get_weights()
    kernel[6:10, 2:10, 0, 0] = -5 / 32
    network.model.get_layer("region").set_weights([kernel, bias])
    draws = [keep_hottest(network, PHOTO, "lit", random_map((HEIGHT, WIDTH), seed)) for seed in range(3)]
    gained = sum(explained > whole for whole, explained in draws)
    assert 0 < gained < 3
    assert assess(network, explain(network, PHOTO, "lit"), steps=1).random.increase == pytest.approx(100 * gained / 3)


@pytest.mark.parametrize("key", ["red", "centre"])
def test_a_map_is_measured_as_it_would_be_alone(key):
    network = region_network()
    explanation = explain(network, PHOTO, "lit")
    result = assess(network, explanation, steps=5)
    found, heat = {
        "red": (result.maps["red"], explanation.maps["red"].heat),
        "centre": (result.centre, centre_blob((HEIGHT, WIDTH))),
    }[key]
    alone = perturbation_curves(network, PHOTO, "lit", heat, steps=5)
    np.testing.assert_allclose(found.curves.deletion, alone.deletion, atol=1e-6)
    np.testing.assert_allclose(found.curves.insertion, alone.insertion, atol=1e-6)
    assert found.share == pytest.approx(min(48, np.count_nonzero(heat)) / PIXELS)
    assert found.hidden == pytest.approx(lit(hide_hottest(network, PHOTO, "lit", heat, found.share).photo), abs=1e-6)
    assert found.drop == pytest.approx(average_drop(*keep_hottest(network, PHOTO, "lit", heat)), abs=1e-3)
    verb = "lowers" if found.hidden < result.target.probability else "raises"
    change = f"lit from {percent(lit(PHOTO))} to {percent(found.hidden)}"
    assert change in found.sentence or "leaves lit at" in found.sentence
    assert verb in found.sentence or "leaves" in found.sentence


def test_a_map_that_marks_less_than_a_fifth_is_tested_by_what_it_marks():
    network = region_network()
    lamp = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    lamp[REGION] = 255, 0, 0
    found = assess(network, explain(network, lamp, "lit"), steps=1).maps["red"]
    assert found.share == 32 / PIXELS
    assert found.sentence.startswith("hiding the 13.3 % that red marks lowers lit from ")
    at_random = [lit(hidden(lamp, random_map((HEIGHT, WIDTH), seed), 32)) for seed in range(3)]
    assert found.hidden_at_random == pytest.approx(np.mean(at_random), abs=1e-6)


def test_pixels_of_equal_heat_are_taken_in_the_order_of_patches_that_no_baseline_uses():
    network = region_network()
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    photo[::2] = 255
    flat = hide_hottest(network, photo, "lit", np.full((2, 3), 0.5), 0.3)
    changed = (flat.photo != photo).any(-1)
    assert changed.sum() == 72
    patches = random_map((HEIGHT, WIDTH), 999)
    assert patches[changed].max() < patches[~changed].min()
