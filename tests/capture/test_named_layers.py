"""Layers that no preset offers, explained where they are named: normalisations, gates, dropouts, padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import deep_network, noise, oblong_network, seeded

import gradcam_core as gc

L = keras.layers


def others():
    """A layer of each kind that is not listed, one after another, and a gate."""
    inputs = keras.Input((12, 20, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(L.Rescaling(1 / 255, name="scaled")(inputs))
    x = L.BatchNormalization(name="batch norm")(x)
    x = L.LayerNormalization(name="layer norm")(x)
    x = L.GroupNormalization(2, name="group norm")(x)
    gate = L.Conv2D(4, 1, activation="sigmoid", name="gate")(x)
    x = L.Multiply(name="gated")([x, gate])
    x = L.SpatialDropout2D(0.3, name="dropout")(x)
    x = L.ZeroPadding2D(((0, 4), (4, 0)), name="pad")(x)
    x = L.Cropping2D(((0, 4), (4, 0)), name="crop")(x)
    x = L.UpSampling2D(2, name="up")(x)
    x = keras.ops.sigmoid(x)
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(L.AveragePooling2D(4, name="pool")(x))))
    return gc.Classifier("others", seeded(model))


def test_all_that_is_a_grid_can_be_named():
    network = others()
    named = ["batch norm", "layer norm", "group norm", "gate", "gated", "dropout", "pad", "crop", "up"]
    result = gc.explain(network, noise(12, width=20), 1, named)
    assert list(result.maps) == named
    assert all(np.ptp(heat_map.raw) > 0 for heat_map in result.maps.values())
    kinds = {name: heat_map.layer.kind for name, heat_map in result.maps.items()}
    assert {name for name, kind in kinds.items() if kind != "other"} == {"gate", "gated"}
    assert result.maps["up"].raw.shape == (24, 40)
    np.testing.assert_allclose(result.maps["pad"].raw, result.maps["crop"].raw * 12 * 20 / (16 * 24), atol=1e-6)


def test_what_can_only_be_named_is_not_listed():
    network = others()
    listed = ["conv", "gate", "gated", "pool"]
    assert [layer.name for layer in gc.select(network, "all")] == listed
    assert [layer.name for layer in gc.summary(network)] == listed
    assert gc.select(network, "last")[0].name == "gated"


def test_the_map_of_a_normalisation_is_the_formula_of_its_own_activation_and_gradient():
    network = oblong_network()
    model = network.model
    first = keras.Model(model.input, model.get_layer("bn2").output)
    rest = keras.Model(first.output, model.output)
    activation = first(network.to_input(noise(12, width=20)))
    with tf.GradientTape() as tape:
        tape.watch(activation)
        score = rest(activation)[0, 2]
    gradient = tape.gradient(score, activation)[0].numpy()
    found = gc.explain(network, noise(12, width=20), 2, "bn2").maps["bn2"].raw
    np.testing.assert_allclose(found, (activation[0].numpy() * gradient.mean((0, 1))).sum(-1), atol=1e-6)


@pytest.mark.parametrize("name", ["head", "dense"])
def test_what_is_no_grid_has_no_map(name):
    with pytest.raises(gc.LayerError, match=f"no layer '{name}' that can be explained"):
        gc.select(deep_network(), name)


def test_what_gives_the_tensor_of_another_layer_has_its_map_too():
    network = others()
    maps = gc.explain(network, noise(12, width=20), 1, ["gated", "dropout"]).maps
    np.testing.assert_array_equal(maps["dropout"].raw, maps["gated"].raw)
    inputs = keras.Input((12, 20, 3))

    class Block(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.conv, self.relu = L.Conv2D(4, 3), L.ReLU(name="relu")

        def call(self, x):
            return self.relu(self.conv(x))

    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(Block(name="block")(inputs))))
    network = gc.Classifier("own", seeded(model))
    assert [layer.name for layer in network.layers] == ["block/conv", "block"]
    maps = gc.explain(network, noise(12, width=20), 1, ["block", "block/relu"]).maps
    np.testing.assert_array_equal(maps["block"].raw, maps["block/relu"].raw)
