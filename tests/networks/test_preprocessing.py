"""How photos are prepared: by name, and what the weights suggest where nothing is said."""

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded

import gradcam_core as gc
from gradcam_core.networks.preprocessing import with_ranges
from gradcam_core.networks.ranges import rescales

PHOTO = noise(24, seed=2, width=20)


def network(first=None, norm=False, scale=None, shift=0.0, head=3, gain=1.0, **settings) -> gc.Classifier:
    """A small network; with a normalisation that has seen values of photos times a scale and plus a shift."""
    inputs = keras.Input((24, 20, 3))
    x = inputs if first is None else first(inputs)
    x = keras.layers.Conv2D(6, 3, padding="same", use_bias=not norm, name="conv")(x)
    x = keras.layers.BatchNormalization(name="bn")(x) if norm else x
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU(name="relu")(x))
    model = seeded(keras.Model(inputs, keras.layers.Dense(head, name="head")(x)))
    if norm:
        bn = model.get_layer("bn")
        bn.set_weights([np.ones(6), np.zeros(6), np.zeros(6), np.ones(6)])
    if norm and scale is not None:
        rows = np.linspace(0, 255, 24)[:, None, None] + np.random.default_rng(0).normal(0, 40, (8, 24, 20, 3))
        seen = model.get_layer("conv")(np.float32(np.clip(rows, 0, 255) * scale + shift)).numpy().reshape(-1, 6)
        bn.set_weights([np.ones(6), np.zeros(6), seen.mean(0), seen.var(0)])
    model.get_layer("head").kernel.assign(model.get_layer("head").kernel * gain)
    return gc.Classifier("own", model, **settings)


@pytest.mark.parametrize(
    ("asked", "low", "high"), [("0..1", 0, 1), ("-1..1", -1, 1), ("none", 0, 255), (" NONE ", 0, 255), (None, 0, 255)]
)
def test_a_range_is_what_the_network_gets(model_file, asked, low, high):
    photo = np.zeros((24, 20, 3), np.uint8)
    photo[:12] = 255
    for found in (gc.load(model_file, preprocess=asked), network(preprocess=asked)):
        batch = found.to_input(photo)
        assert (batch.dtype, batch.min(), batch.max()) == (np.float32, low, high)


def test_the_same_way_of_preparing_gives_the_same_network(model_file):
    assert gc.load(model_file, preprocess="0..1") is gc.load(model_file, preprocess="0..1")
    assert gc.load(model_file, preprocess="vgg16") is gc.load(model_file, preprocess="VGG16")
    assert gc.load(model_file, preprocess="0..1") is not gc.load(model_file, preprocess="-1..1")


@pytest.mark.parametrize("asked", ["1/255", "rescale", "VGG61", ""])
def test_another_name_is_refused_with_those_that_there_are(model_file, asked):
    for door in (lambda: gc.load(model_file, preprocess=asked), lambda: network(preprocess=asked)):
        with pytest.raises(gc.SettingError, match=r"There is: 0\.\.1, -1\.\.1, none"):
            door()


def test_a_networks_own_way_is_taken_whatever_keras_json_says(model_file):
    keras.config.set_image_data_format("channels_first")
    try:
        batch = gc.load(model_file, preprocess="VGG16").to_input(PHOTO)
        assert gc.load("EfficientNetLite0").input_size == (224, 224)
        small = gc.load("MobileNet", weights=None)
        assert small.layers[0].shape == (112, 112, 32)
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    plain = gc.load(model_file).to_input(PHOTO)
    np.testing.assert_allclose(batch, plain[..., ::-1] - [103.939, 116.779, 123.68], atol=1e-4)


@pytest.mark.parametrize(
    ("scale", "shift", "better"),
    [(1, 0, []), (1 / 255, 0, ['0..1"']), (1 / 127.5, -1, ['-1..1"']), (None, 0, [])],
)
def test_the_statistics_of_a_normalisation_tell_what_it_was_trained_on(scale, shift, better):
    found = [note for note in network(norm=True, scale=scale, shift=shift).notes if "trained on" in note]
    assert [note.partition('preprocess="')[2].partition(" ")[0] for note in found] == better


def test_everything_that_should_be_known_of_a_network_is_noted():
    value, better = network(norm=True, scale=1 / 255, head=1).notes
    assert "shown as a value" in value
    assert "trained on 0..1" in better


def test_a_head_that_is_too_sure_of_noise_tells_it_too():
    (note,) = network(gain=20).notes
    assert 'preprocess="0..1" in Python, --preprocess 0..1 in the shell' in note
    assert network(gain=0.02).notes == ()


@pytest.mark.parametrize(
    ("first", "gain"),
    [
        (keras.layers.Rescaling(1 / 255), 5000),
        (keras.layers.Normalization(mean=[127.0] * 3, variance=[3000.0] * 3), 1000),
        (lambda x: x / 255.0, 5000),
        (lambda x: keras.ops.multiply(keras.layers.ZeroPadding2D(2)(x), 0.1), 200),
        (keras.layers.BatchNormalization(), 20),
    ],
)
def test_a_network_that_rescales_itself_is_not_doubted(first, gain):
    found = network(first, gain=gain)
    assert found.notes == ()
    assert rescales(found.recording)


@pytest.mark.parametrize(
    "first", [keras.layers.ZeroPadding2D(2), keras.layers.RandomFlip(), keras.layers.Resizing(9, 9)]
)
def test_what_only_moves_pixels_is_no_rescaling(first):
    assert len(network(first, gain=50).notes) == 1


@pytest.mark.parametrize("asked", ["none", "0..1", "VGG16", np.sqrt])
def test_whoever_says_how_photos_are_prepared_is_not_doubted(asked):
    assert network(gain=50, preprocess=asked).notes == ()


def test_nothing_is_changed_by_what_is_suggested():
    found = network(gain=20)
    before = found.predict(PHOTO)
    assert len(found.notes) == 1
    assert found.predict(PHOTO) == before
    assert found.to_input(PHOTO).max() > 200


def test_a_range_that_begins_with_a_minus_is_no_option():
    assert with_ranges(["predict", "--preprocess", "-1..1", "a.jpg"]) == ["predict", "--preprocess=-1..1", "a.jpg"]
    assert with_ranges(["--preprocess", "0..1", "-1..1"]) == ["--preprocess", "0..1", "-1..1"]
