"""Maps that are the mean over several views of a photo, written out view by view."""

import keras
import numpy as np
import pytest
from tiny_networks import deep_network, noise, oblong_network, seeded

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.maps.explain import check
from gradcam_core.networks.classifier import Classifier

PHOTO = noise(12, width=20)  # at the input's size, so that what is done to the photo is done to the input


LAYERS = ["conv1", "relu2"]


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """(h, w, ...) moved by whole cells; what comes in repeats the edge."""
    rows = np.clip(np.arange(image.shape[0]) - down, 0, image.shape[0] - 1)
    columns = np.clip(np.arange(image.shape[1]) - right, 0, image.shape[1] - 1)
    return image[rows][:, columns]


def seen(shape: tuple[int, int], down: int, right: int) -> np.ndarray:
    """1 for each cell whose content is still in the photo after it was moved, else 0."""
    inside = np.zeros(shape)
    for i, j in np.ndindex(shape):
        inside[i, j] = 0 <= i + down < shape[0] and 0 <= j + right < shape[1]
    return inside


def smoothed_by_hand(network, photo, layer, steps, cell) -> np.ndarray:
    total, count = 0, 0
    for down, right in steps:
        for mirror in (1, -1):
            view = moved(photo, down * cell[0], right * cell[1])[:, ::mirror]
            raw = gc.explain(network, view, 1, layer, method="layercam").maps[layer].raw[:, ::mirror]
            by = [step * side * size // whole for step, side, size, whole in
                  zip((down, right), cell, raw.shape, photo.shape, strict=False)]  # fmt: skip
            inside = seen(raw.shape, *by)
            total = total + inside * moved(raw, -by[0], -by[1])
            count = count + inside
    return total / count


def test_flips_are_the_mean_of_the_photo_and_its_mirror_image():
    network = oblong_network()
    found = gc.explain(network, PHOTO, 1, LAYERS, method="layercam", smoothing="flips")
    for name, heat_map in found.maps.items():
        expected = smoothed_by_hand(network, PHOTO, name, [(0, 0)], (2, 2))
        np.testing.assert_allclose(heat_map.raw, expected, atol=1e-5 * expected.max())


def test_shifts_are_the_mean_of_both_moved_by_a_cell_of_the_coarsest_layer():
    network = oblong_network()
    found = gc.explain(network, PHOTO, 1, LAYERS, method="layercam", smoothing="shifts")
    steps = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    for name, heat_map in found.maps.items():
        expected = smoothed_by_hand(network, PHOTO, name, steps, (2, 2))
        np.testing.assert_allclose(heat_map.raw, expected, atol=1e-5 * expected.max())


def lanes_network() -> gc.Classifier:
    """Two lanes whose cells are 2 x 4 and 3 x 1 pixels; all kernels are 1 x 1, so that only whole cells matter."""
    inputs = keras.Input((24, 20, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 1, activation="relu", name="fine")(x)
    lanes = []
    for name, cell in (("low", (2, 4)), ("narrow", (3, 1))):
        lane = keras.layers.AveragePooling2D(cell, name=f"{name}_pool")(x)
        lane = keras.layers.Conv2D(5, 1, activation="relu", name=name)(lane)
        lanes.append(keras.layers.GlobalAveragePooling2D()(lane))
    outputs = keras.layers.Dense(3)(keras.layers.Concatenate()(lanes))
    return gc.Classifier("lanes", seeded(keras.Model(inputs, outputs), 5))


def test_a_shift_moves_every_map_by_whole_cells():
    """By 6 x 4 pixels here, what both lanes' cells go into; moved by the larger cell, one lane's would be cut."""
    network, photo = lanes_network(), noise(24, width=20)
    plain = gc.explain(network, photo, 1, "all", method="layercam")
    smooth = gc.explain(network, photo, 1, "all", method="layercam", smoothing="shifts")
    assert {"fine", "low", "narrow"} <= set(plain.maps)
    for name, heat_map in plain.maps.items():
        np.testing.assert_allclose(smooth.maps[name].raw, heat_map.raw, atol=1e-5 * heat_map.peak)


def test_noise_is_a_tenth_of_the_inputs_range_and_sixteen_samples_long():
    network, steps = oblong_network(), []
    photo = PHOTO // 2 + 60
    found = gc.explain(network, photo, 1, LAYERS, smoothing="noise", progress=lambda *step: steps.append(step))
    assert steps == [(done, 16) for done in range(1, 17)]
    batch, rng = network.to_input(photo), np.random.default_rng(0)
    run = gradients.trace(network, tuple(LAYERS))
    sigma = 0.1 * (float(batch.max()) - float(batch.min()))
    maps = [run(batch + sigma * rng.standard_normal(batch.shape, np.float32), 1)[1] for _ in range(16)]
    for name, heat_map in found.maps.items():
        expected = np.mean([each[name] for each in maps], axis=0)
        np.testing.assert_allclose(heat_map.raw, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("smoothing", "views"), [("flips", 2), ("shifts", 10)])
def test_every_view_is_counted_for_whoever_waits(smoothing, views):
    steps = []
    gc.explain(oblong_network(), PHOTO, 1, LAYERS, smoothing=smoothing, progress=lambda *step: steps.append(step))
    assert steps == [(done, views) for done in range(1, views + 1)]


def test_a_shift_may_be_half_of_each_side_of_the_input_and_no_more():
    def network(*size):
        inputs = keras.Input((*size, 3))
        x = keras.layers.AveragePooling2D((8, 2), name="coarse")(inputs)
        return gc.Classifier("coarse", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))

    assert gc.explain(network(16, 4), noise(24), 1, "coarse", smoothing="shifts").maps["coarse"].raw.shape == (2, 2)
    for size in ((8, 24), (24, 2)):
        with pytest.raises(gc.SettingError, match="smooth by flips or noise"):
            gc.explain(network(*size), noise(24), 1, "coarse", smoothing="shifts")


def mirrored_network() -> Classifier:
    """A network that knows neither left from right nor one place from another: all its kernels are 1 x 1."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 1, activation="relu", name="fine")(x)
    x = keras.layers.AveragePooling2D(4, name="pool")(x)
    x = keras.layers.Conv2D(5, 1, activation="relu", name="coarse")(x)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    return Classifier("mirrored", seeded(keras.Model(inputs, outputs), 5))


@pytest.mark.parametrize("smoothing", ["flips", "shifts"])
def test_views_are_brought_back_exactly(smoothing):
    network, photo = mirrored_network(), noise()
    plain = gc.explain(network, photo, 1, "all", method="layercam")
    smooth = gc.explain(network, photo, 1, "all", method="layercam", smoothing=smoothing)
    assert smooth.smoothing == smoothing
    for name, heat_map in plain.maps.items():
        np.testing.assert_allclose(smooth.maps[name].raw, heat_map.raw, atol=1e-5 * heat_map.peak)


def test_noise_is_always_the_same_and_the_predictions_are_of_the_photo_as_it_is():
    network, photo = deep_network(), noise()
    found, again = (gc.explain(network, photo, 1, "relu2", smoothing="noise") for _ in range(2))
    np.testing.assert_array_equal(found.maps["relu2"].raw, again.maps["relu2"].raw)
    assert found.predictions == gc.explain(network, photo, 1, "relu2").predictions


def test_a_shift_that_does_not_fit_the_cells_is_refused():
    inputs = keras.Input((13, 13, 3))
    x = keras.layers.Conv2D(3, 3, strides=2, activation="relu", name="conv")(inputs)
    network = Classifier("odd", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))))
    with pytest.raises(gc.SettingError, match="smooth by flips or noise"):
        gc.explain(network, noise(), smoothing="shifts")


@pytest.mark.parametrize("size", [(12, 13), (13, 12)])
def test_one_side_of_one_layer_is_enough_to_refuse_a_shift(size):
    inputs = keras.Input((*size, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="fine")(inputs)
    x = keras.layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="coarse")(x)  # 6 and 7 cells
    network = Classifier("odd", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))))
    assert gc.explain(network, noise(), 1, "fine", smoothing="shifts").maps["fine"].raw.shape == size
    for layers in (["fine", "coarse"], "coarse"):
        with pytest.raises(gc.SettingError, match="smooth by flips or noise"):
            gc.explain(network, noise(), 1, layers, smoothing="shifts")
        with pytest.raises(gc.SettingError, match="smooth by flips or noise"):
            check(network, layers, smoothing="shifts")  # before there is a photo
