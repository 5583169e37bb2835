"""Many photos in one pass, each with a sum of scores of its own; and passes in bfloat16."""

import threading

import keras
import numpy as np
import pytest
from tiny_networks import StoppedError, colour_network, deep_network, noise, oblong_network, seeded

from gradcam_core import NetworkError, SettingError, explain
from gradcam_core.capture import precision
from gradcam_core.maps import gradients
from gradcam_core.maps.many import many
from gradcam_core.networks.classifier import Classifier

LAYERS = ("conv1", "relu2")


def batch_of(network, count):
    return np.concatenate([network.to_input(noise(15 + seed, seed, width=33)) for seed in range(count)])


@pytest.mark.parametrize("method", ["gradcam", "eigengradcam"])
def test_each_photo_of_a_batch_has_the_map_it_has_alone(method):
    network = oblong_network()
    batch = batch_of(network, 5)
    trace = gradients.trace(network, LAYERS, method)
    weights = np.zeros((5, 4), np.float32)  # the first and the last: the most probable class
    weights[1, 2], weights[2, 0], weights[3, 3] = 1, 1, -2
    logits, maps = trace(batch, weights)
    assert logits.shape == (5, 4)
    for row in range(5):
        target = weights[row] if weights[row].any() else None
        alone_logits, alone = trace(batch[row : row + 1], target)
        np.testing.assert_allclose(logits[row], alone_logits, atol=1e-5)
        for name in LAYERS:
            assert maps[name].shape == (5, *alone[name].shape)
            np.testing.assert_allclose(maps[name][row], alone[name], atol=1e-6)


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("smoothing", ["none", "flips"])
def test_many_photos_have_the_maps_of_their_most_probable_classes(smoothing, score):
    """Of a photo with as much red as blue, in different places, that of the first."""
    network, photos = colour_network(), np.zeros((3, 12, 12, 3), np.uint8)
    photos[:, :, :4, 0] = photos[:, :, 6:10, 2] = 255
    photos[1, :3, :, 2] = photos[2, 10:, :, 0] = 255
    batch = np.concatenate([network.to_input(photo) for photo in photos])
    answers, maps = many(network, network.layers, "layercam", score, smoothing)(batch, np.zeros((3, 2), np.float32))
    assert answers[0, 0] == answers[0, 1]
    for i, target in enumerate(("red", "blue", "red")):
        alone = explain(network, photos[i], target, method="layercam", score=score, smoothing=smoothing)
        assert alone.maps["conv"].peak > 0
        np.testing.assert_allclose(maps["conv"][i], alone.maps["conv"].raw, atol=1e-4 * alone.maps["conv"].peak)


def test_a_network_that_takes_one_photo_gets_one_at_a_time():
    inputs = keras.Input((12, 20, 3), batch_size=1)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    network = Classifier("one", seeded(keras.Model(inputs, outputs), 4))
    batch = batch_of(network, 3)
    trace = gradients.trace(network, ("conv",))
    logits, maps = trace(batch, np.eye(3, dtype=np.float32))
    for row in range(3):
        alone_logits, alone = trace(batch[row : row + 1], row)
        np.testing.assert_allclose(logits[row], alone_logits, atol=1e-6)
        np.testing.assert_allclose(maps["conv"][row], alone["conv"], atol=1e-6)


def test_a_batch_with_a_photo_that_gives_no_numbers_is_refused():
    inputs = keras.Input((12, 20, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    network = Classifier("linear", seeded(keras.Model(inputs, outputs), 4))
    batch = batch_of(network, 3)
    batch[1, 4, 5] = np.inf
    with pytest.raises(NetworkError, match="not numbers"):
        gradients.trace(network, ("conv",))(batch, np.zeros((3, 3), np.float32))


@pytest.mark.skipif(not precision.has_bfloat16(), reason="needs a processor that multiplies in bfloat16")
def test_bfloat16_gives_nearly_the_same_and_leaves_float32_as_it_was():
    network = deep_network()
    batch = np.concatenate([network.to_input(noise(16, seed)) for seed in range(4)])
    weights = np.eye(4, dtype=np.float32)
    trace = gradients.trace(network, ("relu3",))
    logits, maps = trace(batch, weights)
    others = []
    with precision.computing_in("bfloat16"):
        rough_logits, rough = trace(batch, weights)
        other = threading.Thread(target=lambda: others.append(trace(batch, weights)))
        other.start()
        other.join()
    with pytest.raises(StoppedError), precision.computing_in("bfloat16"):
        raise StoppedError
    again_logits, again = trace(batch, weights)
    assert rough_logits.dtype == rough["relu3"].dtype == np.float32
    assert not np.array_equal(rough["relu3"], maps["relu3"])
    assert np.corrcoef(rough["relu3"].ravel(), maps["relu3"].ravel())[0, 1] > 0.98
    np.testing.assert_allclose(rough_logits, logits, atol=0.05 * np.abs(logits).max())
    for same_logits, same in [(again_logits, again), *others]:
        np.testing.assert_allclose(same_logits, logits, atol=1e-6)
        np.testing.assert_allclose(same["relu3"], maps["relu3"], atol=1e-7)


def test_another_precision_is_refused():
    with pytest.raises(SettingError, match="'float32' or 'bfloat16', not 'float16'"), precision.computing_in("float16"):
        pass
