"""Photos and networks that are not square: no height stands where a width belongs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import noise, oblong_network

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.pictures.render import resize_heat

PHOTO = noise(31, width=47)


def taped(network: gc.Classifier, layer: str, photo: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Activation and gradient of a layer, (h, w, c) each, by a gradient tape over the layers one after the other."""
    layers = network.model.layers[1:]
    at = [each.name for each in layers].index(layer) + 1
    x = tf.constant(network.to_input(photo))
    for each in layers[:at]:
        x = each(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = x
        for each in layers[at:]:
            scores = each(scores)
        score = scores[0, target]
    return x.numpy()[0], tape.gradient(score, x).numpy()[0]


METHODS = {
    "gradcam": lambda a, g: a @ g.mean((0, 1)),
    "layercam": lambda a, g: (np.maximum(g, 0) * a).sum(-1),
    "hirescam": lambda a, g: (g * a).sum(-1),
}


@pytest.mark.parametrize("method", METHODS)
def test_the_maps_of_an_oblong_network_are_those_of_a_gradient_tape(method):
    network = oblong_network()
    found = gc.explain(network, PHOTO, 2, "all", method=method)
    shapes = {name: heat_map.raw.shape for name, heat_map in found.maps.items()}
    assert shapes == {"conv1": (12, 20), "pool1": (6, 10), "conv2": (6, 10), "relu2": (6, 10)}
    for name, heat_map in found.maps.items():
        expected = METHODS[method](*taped(network, name, PHOTO, 2))
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(heat_map.raw, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["gradcam", "layercam", "eigengradcam", "scorecam", "guided"])
def test_several_classes_of_an_oblong_network_are_each_alone(method):
    network = oblong_network()
    for index, found in zip((3, 1), gc.explain_classes(network, PHOTO, [3, 1], "all", method=method), strict=True):
        alone = gc.explain(network, PHOTO, index, "all", method=method)
        for name, heat_map in alone.maps.items():
            assert found.maps[name].raw.shape == heat_map.raw.shape
            np.testing.assert_allclose(found.maps[name].raw, heat_map.raw, atol=1e-4 * np.abs(heat_map.raw).max())


def test_guided_grad_cam_has_the_oblong_inputs_size():
    network = oblong_network()
    raw = gc.explain(network, PHOTO, 1, "relu2", method="guided").maps["relu2"].raw
    coarse = gc.explain(network, PHOTO, 1, "relu2").maps["relu2"]
    guided = gradients.guided_backpropagation(network)(network.to_input(PHOTO), np.eye(4, dtype=np.float32)[1])
    assert guided.shape == (12, 20, 3)
    expected = resize_heat(coarse.heat, width=20, height=12) * coarse.peak * np.abs(guided).max(-1)
    assert expected.any()
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-7)


def test_a_cell_covers_its_own_height_and_width():
    cells = {layer.name: (layer.shape, layer.cell) for layer in gc.summary(oblong_network())}
    assert cells["conv1"] == ((12, 20, 4), (1, 1))
    assert cells["relu2"] == ((6, 10, 6), (2, 2))
    inputs = keras.Input((30, 48, 3))
    x = keras.layers.Conv2D(5, 7, name="conv")(inputs)  # without padding: 24 x 42
    network = gc.Classifier("cut", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalMaxPooling2D()(x))))
    (layer,) = gc.summary(network)
    assert layer.shape == (24, 42, 5)
    assert layer.cell == pytest.approx((30 / 24, 48 / 42))
    row = gc.summary_table(network).splitlines()[-1].split()
    assert row[:7] == ["conv", "conv", "24", "x", "42", "x", "5"]
    assert row[9:12] == ["1.25", "x", "1.143"]


def test_the_input_is_as_high_and_as_wide_as_the_network_takes_it():
    photo = np.zeros((60, 40, 3), np.uint8)
    photo[:15] = 80  # the upper quarter
    photo[:, 20:, 0] = 240  # the right half is red
    batch = oblong_network().to_input(photo)
    assert batch.shape == (1, 12, 20, 3)
    np.testing.assert_array_equal(batch[0, :, :, 1], np.repeat([80, 0], [3, 9])[:, None] * np.ones(20))
    np.testing.assert_array_equal(batch[0, 3:, :, 0], np.repeat([0, 240], 10) * np.ones((9, 1)))


def averages(here: int, there: int) -> np.ndarray:
    """(there, here): each new pixel is the mean of what it covers."""
    edges = np.arange(there + 1) * here / there
    pixels = np.arange(here)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(covered, 0) * there / here


def interpolation(here: int, there: int) -> np.ndarray:
    """(there, here): each new pixel lies between two old ones, the edges held."""
    centre = np.clip((np.arange(there) + 0.5) * here / there - 0.5, 0, here - 1)
    return np.clip(1 - np.abs(centre[:, None] - np.arange(here)), 0, None)


@pytest.mark.parametrize("size", [(60, 45), (60, 7), (5, 45), (5, 7), (12, 7), (5, 20)])
def test_a_side_that_shrinks_is_averaged_and_one_that_grows_is_interpolated(size):
    height, width = size
    photo = noise(height, width=width)
    rows = (averages if height > 12 else interpolation)(height, 12)
    columns = (averages if width > 20 else interpolation)(width, 20)
    expected = np.einsum("yh,hwc,xw->yxc", rows, photo.astype(float), columns)
    # Rounded to whole levels between the two steps, and OpenCV counts in fractions of 1/2048.
    assert np.abs(oblong_network().to_input(photo)[0] - expected).max() < 1.6


def test_an_oblong_network_gives_its_models_own_predictions():
    network = oblong_network("softmax")
    expected = network.model(network.to_input(PHOTO)).numpy()[0]
    for prediction in network.predict(PHOTO, 4):
        assert prediction.probability == pytest.approx(expected[prediction.index], abs=1e-6)


def test_maps_of_several_shapes_are_fused_at_the_largest_size():
    found = gc.explain(oblong_network(), PHOTO, 1, ["conv1", "relu2"], method="layercam")
    assert not any(heat_map.is_empty for heat_map in found.maps.values())
    heats = [resize_heat(heat_map.heat, width=20, height=12) for heat_map in found.maps.values()]
    np.testing.assert_array_equal(found.fused("maximum"), np.maximum(*heats))
    product = heats[0] * heats[1]
    np.testing.assert_allclose(found.fused("product"), product / product.max(), atol=1e-6)
    assert found.fused("product").max() == 1
