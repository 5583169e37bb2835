"""Deletion and insertion."""

import numpy as np
import pytest
from region import halves, lamp, lit, of_region, region_network
from tiny_networks import SIDE, StoppedError, cam_network, deep_network, noise, staged_network, stop_at

from gradcam_core import NetworkError, PhotoError, SettingError, TargetError
from gradcam_core.trust import (
    centre_blob,
    curves_of_maps,
    hide_hottest,
    perturbation_curves,
    random_map,
)


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
