"""Networks of any number of channels: grey photos, arrays, what is shown of them; and channels first."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from tiny_networks import noise, seeded

import gradcam_core as gc
from gradcam_core.maps.gradients import trace
from gradcam_core.networks.classifier import Classifier
from gradcam_core.trust import assess

PHOTO = noise(30, width=50)
SIZE = (12, 20)


def channels_network(channels, **settings):
    photo = keras.Input((*SIZE, channels))
    seen = L.Conv2D(4, 3, activation="relu", name="conv")(photo)
    model = seeded(keras.Model(photo, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(seen))))
    return Classifier("many", model, **settings)


def test_the_values_of_a_grey_network_are_prepared_too():
    network = channels_network(1, preprocess="-1..1")
    for value, prepared in ((0, -1), (255, 1)):
        assert (network.to_input(np.full((9, 40, 3), value, np.uint8)) == prepared).all()


def test_a_grey_network_gets_the_luma_of_any_photo():
    network = channels_network(1)
    flat = np.full((9, 40, 3), (250, 100, 10), np.uint8)
    grey = 0.299 * 250 + 0.587 * 100 + 0.114 * 10  # ITU-R BT.601
    np.testing.assert_allclose(network.to_input(flat), np.full((1, *SIZE, 1), grey), rtol=1e-5)
    found = gc.explain(network, PHOTO[:, :, :1])
    assert found.photo.shape == found.picture.shape == (30, 50, 3)
    own = network.model(network.to_input(PHOTO[:, :, [0, 0, 0]]))
    assert found.target.probability == pytest.approx(float(np.max(own)))


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_an_array_of_any_channels_is_explained_and_shown_by_those_that_are_named(tmp_path, channels):
    values = np.random.default_rng(1).normal(0, 3, (30, 50, channels))
    network = channels_network(channels, shown=(1, 0, channels - 1))
    result = gc.explain(network, values)
    batch = network.to_input(values.astype(np.float32))
    assert batch.shape == (1, *SIZE, channels)
    for i in range(channels):  # each is resized for itself
        assert batch[0, ..., i].mean() == pytest.approx(values[..., i].mean(), abs=0.2)
    assert result.target.probability == pytest.approx(float(np.max(network.model(batch))), abs=1e-6)
    shown = values[..., [1, 0, channels - 1]]
    expected = 255 * (shown - shown.min()) / np.ptp(shown)
    np.testing.assert_allclose(result.picture, expected, atol=0.51)
    np.save(tmp_path / "values.npy", values)
    again = gc.explain(network, (tmp_path / "values.npy").rename(tmp_path / "VALUES.NPY"))
    np.testing.assert_array_equal(again.maps["conv"].raw, result.maps["conv"].raw)
    manifest = result.save(tmp_path / "saved")
    assert manifest.exists()


@pytest.mark.parametrize("channels", [1, 5])
def test_noise_comes_over_each_channel_that_the_network_takes(channels):
    network = channels_network(channels)
    values = PHOTO if channels == 1 else np.random.default_rng(1).normal(0, 3, (30, 50, channels))
    batch, rng = network.to_input(network.read(values)), np.random.default_rng(0)
    noisy = [batch + 0.1 * np.ptp(batch) * rng.standard_normal(batch.shape, np.float32) for _ in range(16)]
    expected = np.mean([trace(network, ("conv",))(one, 1)[1]["conv"] for one in noisy], axis=0)
    found = gc.explain(network, values, 1, "conv", smoothing="noise").maps["conv"].raw
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_an_explained_array_is_a_copy():
    values = np.random.default_rng(1).normal(0, 3, (30, 50, 5)).astype(np.float32)
    before, result = values.copy(), gc.explain(channels_network(5), values)
    values[:] = 0
    np.testing.assert_array_equal(result.photo, before)


def test_maps_of_many_channels_are_tested_in_their_own_values():
    network = channels_network(5)
    values = np.random.default_rng(1).normal(0, 0.2, (30, 50, 5)).astype(np.float32)  # nothing is left of it in levels
    result = gc.explain(network, values)
    curve = assess(network, result, steps=4).maps["conv"].curves.deletion
    batch = network.to_input(values)
    mean = np.broadcast_to(network.resized(values).mean((0, 1)), batch.shape)
    assert curve[0] == pytest.approx(float(network.model(batch)[0, result.target.index]), abs=1e-5)
    assert curve[-1] == pytest.approx(float(network.model(mean)[0, result.target.index]), abs=1e-5)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (PHOTO, r"has the shape \(30, 50, 3\); this network takes \(H, W, 5\)"),
        ("photo.jpg", "takes 5 channels, which no photo has: give an array"),
        ("missing.npy", "missing.npy cannot be read: no such file"),
        (np.full((3, 4, 5), np.nan), "not numbers"),
        (np.full((3, 4, 5), "x"), "which are no numbers"),
        (np.zeros((0, 4, 5)), "no pixels"),
    ],
)
def test_what_has_not_the_networks_channels_gets_a_sentence(source, sentence):
    with pytest.raises(gc.PhotoError, match=sentence):
        gc.explain(channels_network(5), source)


def test_a_npy_file_of_objects_is_not_opened(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "zip.npy").write_bytes(b"PK\x03\x04 cut short")
    with (tmp_path / "many.npy").open("wb") as file:
        np.savez(file, PHOTO)
    for name in ("objects.npy", "text.npy", "zip.npy", "many.npy"):
        with pytest.raises(gc.PhotoError, match=f"{name} is no .npy file of numbers, or is damaged"):
            gc.explain(channels_network(5), tmp_path / name)


@pytest.mark.parametrize("shown", [(0, 1), (0, 1, 5), (0, 1, -1), "rgb", (0, 1, True)])
def test_channels_that_cannot_be_shown_get_a_sentence(shown):
    with pytest.raises(gc.SettingError, match="takes 5 channels, three of 0 to 4 are shown"):
        channels_network(5, shown=shown)


def test_channels_first_are_the_same_network_seen_from_the_side():
    """The same weights in both orders give the same answers and maps, also behind strides and without padding."""

    def build(order):
        at = {"data_format": f"channels_{order}"}
        photo = keras.Input((3, *SIZE) if order == "first" else (*SIZE, 3))
        x = L.Conv2D(4, 3, activation="relu", name="conv", **at)(photo)
        x = L.MaxPooling2D((1, 2), name="pool", **at)(x)
        x = L.DepthwiseConv2D(3, padding="same", name="deep", **at)(x)
        x = L.BatchNormalization(axis=1 if order == "first" else -1)(x)
        x = L.Conv2D(5, 1, strides=2, activation="relu", name="last", **at)(x)
        return seeded(keras.Model(photo, L.Dense(3, name="row")(L.GlobalAveragePooling2D(**at)(x))))

    first, last = (Classifier(order, build(order)) for order in ("first", "last"))
    assert first.input_size == SIZE
    for one, other in zip(first.layers, last.layers, strict=True):
        assert (one.name, one.shape, one.stage, one.cell, one.preset) == (
            (other.name, other.shape, other.stage, other.cell, other.preset)
        )
    names = [layer.name for layer in last.layers]
    for one, other in zip(
        gc.explain_classes(first, PHOTO, [0, 2], names), gc.explain_classes(last, PHOTO, [0, 2], names), strict=True
    ):
        assert one.target.probability == pytest.approx(other.target.probability, abs=1e-5)
        for name in names:
            peak = np.abs(other.maps[name].raw).max()
            np.testing.assert_allclose(one.maps[name].raw, other.maps[name].raw, atol=1e-4 * peak)


def test_a_network_says_how_many_channels_it_was_given():
    assert channels_network(1).about.startswith("Photos are brought to grey of 20 x 12 pixels")
    assert channels_network(5).about.startswith("Arrays of 5 channels are brought to 20 x 12 pixels")
