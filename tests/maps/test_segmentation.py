"""Networks that give a class for each pixel: their shares, and the maps of the pixels that have a class."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from tiny_networks import cam_network, noise, seeded

import gradcam_core as gc
from gradcam_core.networks.classifier import Classifier
from gradcam_core.photos.channels import resized
from gradcam_core.trust import assess, sanity_check

PHOTO = noise(30, width=50)
NAMES = ("conv", "deep")


def segmenter(activation="softmax", classes=4, seed=2, sharp=3.0):
    """12 x 20 pixels in, 6 x 10 with a class each out."""
    photo = keras.Input((12, 20, 3))
    x = L.Conv2D(5, 3, padding="same", activation="relu", name="conv")(L.Rescaling(1 / 255)(photo))
    x = L.MaxPooling2D(name="pool")(x)
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="deep")(x)
    row = L.Conv2D(classes, 1, name="row")(L.BatchNormalization(name="bn")(x))
    model = keras.Model(photo, row if activation is None else L.Activation(activation)(row))
    seeded(model, seed)
    scores = keras.Model(photo, row)
    layer = model.get_layer("row")
    layer.kernel.assign(layer.kernel * sharp)
    layer.bias.assign(layer.bias - np.mean(scores(resized(PHOTO, (12, 20))[np.newaxis].astype(np.float32)), (0, 1, 2)))
    return model  # every class has some of the pixels


def parts(model, batch):
    """The network's logits (h, w, classes) and, by layer, a function that gives the map of a sum of them."""
    inside = keras.Model(
        model.input, [*(model.get_layer(name).output for name in NAMES), model.get_layer("row").output]
    )

    def maps(weights):
        with tf.GradientTape(persistent=True) as tape:
            *activations, logits = inside(batch)
            score = tf.reduce_sum(logits[0] * weights)
        gradients = [tape.gradient(score, activation)[0] for activation in activations]
        return {
            name: np.einsum("hwc,c->hw", a[0], np.mean(g, (0, 1)))
            for name, a, g in zip(NAMES, activations, gradients, strict=True)
        }

    return inside(batch)[-1].numpy()[0], maps


@pytest.mark.parametrize("activation", ["softmax", None, "sigmoid"])
def test_the_map_of_a_class_is_that_of_the_logits_of_its_pixels(activation):
    network = Classifier("seg", segmenter(activation))
    logits, maps = parts(network.model, network.to_input(PHOTO))
    own = logits > 0 if activation == "sigmoid" else np.eye(4)[logits.argmax(-1)]
    assert len(set(np.ravel(own.sum((0, 1))))) > 2  # no two classes have as many
    for index, found in enumerate(gc.explain_classes(network, PHOTO, [0, 1, 2, 3], NAMES)):
        assert found.target.share == pytest.approx(own[..., index].mean(), abs=1e-6)
        assert (found.target.probability, found.target.measures) == (None, "share")
        expected = maps(np.eye(4)[index] * own)
        for name in NAMES:
            peak = max(np.abs(expected[name]).max(), 1e-6)
            np.testing.assert_allclose(found.maps[name].raw, expected[name], atol=1e-4 * peak)
    first = gc.explain(network, PHOTO)
    assert first.target.index == own.mean((0, 1)).argmax()
    assert first.target.text.endswith(" % of the photo")


def test_a_pixel_that_two_classes_have_alike_is_the_first_ones():
    """Black pixels are as red as they are blue; each is counted once."""
    inputs = keras.Input((12, 20, 3))
    looks = L.Conv2D(2, 1, activation="relu", name="looks")
    row = L.Conv2D(2, 1, name="row")
    model = keras.Model(inputs, row(looks(inputs)))
    looks.set_weights([np.float32([[1, 0], [0, 0], [0, 1]])[np.newaxis, np.newaxis], np.zeros(2)])
    row.set_weights([np.eye(2, dtype=np.float32)[np.newaxis, np.newaxis], np.zeros(2)])
    photo = np.zeros((12, 20, 3), np.uint8)
    photo[:5, :7, 0] = 90
    photo[9:, :, 2] = 90
    shares = {found.index: found.share for found in Classifier("colours", model).predict(photo)}
    assert shares == pytest.approx({0: 180 / 240, 1: 60 / 240})


def test_the_map_of_a_region_is_that_of_the_class_in_it(tmp_path):
    network = Classifier("seg", segmenter())
    _, maps = parts(network.model, network.to_input(PHOTO))
    left = np.zeros((30, 50), bool)
    left[5:, :20] = True  # 5 and 20 are borders of the 6 x 10 pixels
    weights = np.zeros((6, 10, 1))
    weights[1:, :4] = 1
    several = gc.explain_classes(network, PHOTO, [0, 1], NAMES, region=left)
    for index, found in ((3, gc.explain(network, PHOTO, 3, NAMES, region=left)), *enumerate(several)):
        expected = maps(weights * np.eye(4)[index])
        for name in NAMES:
            np.testing.assert_allclose(found.maps[name].raw, expected[name], atol=1e-4 * np.abs(expected[name]).max())
        assert found.region == pytest.approx(weights.mean())
    assert json.loads(several[0].save(tmp_path).read_text())["region"] == pytest.approx(weights.mean())
    assert gc.explain(network, PHOTO, 3, NAMES).region is None


def test_a_single_sigmoid_is_two_classes_and_their_shares_fill_the_photo():
    network = Classifier("two", segmenter("sigmoid", classes=1, sharp=1), labels=["ground", "road"])
    output = network.model(network.to_input(PHOTO)).numpy()
    assert 0 < (output > 0.5).mean() < 1
    found = {one.name: one.share for one in network.predict(PHOTO)}
    assert found == pytest.approx({"ground": (output <= 0.5).mean(), "road": (output > 0.5).mean()})
    ground, road = gc.explain_classes(network, PHOTO, ["ground", "road"], "last")
    assert ground.maps["deep"].raw.shape == (6, 10)
    assert not np.allclose(ground.maps["deep"].raw, road.maps["deep"].raw)


def test_probabilities_that_were_made_in_an_unknown_way_are_explained_as_they_are():
    base = segmenter()
    model = keras.Model(base.input, L.UpSampling2D(2, interpolation="bilinear")(base.output))
    network = Classifier("grown", model)
    assert network.activation == "none"
    assert "as they are" in network.notes[0]
    output = model(network.to_input(PHOTO)).numpy()[0]
    assert gc.explain(network, PHOTO, 2).target.share == pytest.approx((output.argmax(-1) == 2).mean(), abs=1e-6)


def test_a_class_without_a_pixel_has_an_empty_map():
    model = segmenter()
    bias = model.get_layer("row").bias
    bias.assign([0, 0, 0, -1000])
    found = gc.explain(Classifier("seg", model), PHOTO, 3)
    assert found.target.share == 0
    assert all(heat_map.is_empty for heat_map in found.maps.values())


def test_the_maps_of_pixels_are_tested_by_what_their_class_loses(tmp_path):
    network = Classifier("seg", segmenter())
    found = gc.explain(network, PHOTO)
    test = assess(network, found, steps=4).maps["deep"]
    assert test.curves.deletion[0] == pytest.approx(found.target.share)
    assert "% of the photo" in test.sentence
    assert set(sanity_check(network, PHOTO, found.target.index, draws=1).passes) == {"conv", "deep"}
    assert found.save(tmp_path).exists()


@pytest.mark.parametrize(
    ("network", "settings", "sentence"),
    [
        (segmenter, {"region": np.zeros((3, 4))}, "The region is empty"),
        (segmenter, {"region": np.full((3, 4), 2)}, "A region is an array"),
        (segmenter, {"region": np.ones((3, 4, 1))}, "A region is an array"),
        (segmenter, {"region": "left"}, "A region is an array"),
        (segmenter, {"region": np.ones((3, 4)), "smoothing": "flips"}, "with a method of one pass, without smoothing"),
        (segmenter, {"region": np.ones((3, 4)), "method": "guided"}, "with a method of one pass, without smoothing"),
        (segmenter, {"method": "scorecam"}, "Score-CAM weighs one score for the photo; seg gives one for each pixel"),
        (None, {"region": np.ones((3, 4))}, "networks that give a class for each pixel; cam gives one for the photo"),
    ],
)
def test_what_does_not_go_with_pixels_gets_a_sentence(network, settings, sentence):
    network = Classifier("seg", network()) if network else cam_network()
    with pytest.raises(gc.SettingError, match=sentence):
        gc.explain(network, PHOTO, **settings)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_the_scores_themselves_are_no_layer(activation):
    """Also where they are made larger before, or after, their softmax."""
    base = segmenter(activation)
    for model in (base, keras.Model(base.input, L.UpSampling2D(2)(base.output))):
        assert [layer.name for layer in Classifier("seg", model).layers] == ["conv", "pool", "deep"]


def test_a_picture_of_values_is_refused():
    model = segmenter(None, classes=1)
    model.compile(loss="mse")
    with pytest.raises(gc.NetworkError, match="gives a picture of values; a class for each pixel can be explained"):
        Classifier("depth", model)


def test_every_other_method_explains_pixels():
    network = Classifier("seg", segmenter())
    for method in ("gradcam++", "layercam", "xgradcam", "hirescam", "guided"):
        if method in gc.METHODS:
            assert gc.explain(network, PHOTO, 1, method=method).maps["deep"].raw.ndim == 2
    assert gc.explain(network, PHOTO, 1, smoothing="flips").maps["deep"].raw.shape == (6, 10)
