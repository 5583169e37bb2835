"""Residual sums and activations that are written as plain code, as in most networks that are one big class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gradcam_core as gc

SIZE = (40, 64)


@keras.saving.register_keras_serializable("tests")
class Residual(keras.Model):
    """Two residual blocks at 20 x 32 and at 10 x 16 cells, whose sums no layer makes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stem = keras.layers.Conv2D(6, 3, 2, "same")
        self.first = [keras.layers.Conv2D(6, 3, padding="same", activation="relu") for _ in range(2)]
        self.second = [keras.layers.Conv2D(6, 3, padding="same", activation="silu") for _ in range(2)]
        self.down = keras.layers.MaxPooling2D()
        self.classify = keras.layers.Dense(4, activation="softmax")

    def sums(self, batch):
        first = self.stem(batch)
        first = first + self.first[1](self.first[0](first))
        second = self.down(first)
        return first, keras.ops.relu(second + self.second[1](self.second[0](second)))

    def call(self, batch):
        return self.classify(tf.reduce_mean(self.sums(batch)[1], (1, 2)))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    model = Residual()
    model(np.zeros((1, *SIZE, 3), np.float32))
    return model


def test_the_sums_stand_for_their_stages(model):
    network = gc.load(model)
    assert [(layer.name, layer.kind, layer.stage) for layer in gc.select(network, "stages")] == [
        ("add", "merge", 1),
        ("relu", "activation", 2),
    ]
    assert [layer.name for layer in network.layers if layer.kind == "merge"] == ["add", "add#2"]


def test_their_maps_are_those_of_the_sums(model):
    photo = np.random.default_rng(4).integers(0, 255, (*SIZE, 3), np.uint8)
    network = gc.load(model)
    found = gc.explain(network, photo, 2)
    batch = tf.constant(network.to_input(photo))
    second = model.sums(batch)[1]
    with tf.GradientTape() as tape:
        tape.watch(second)
        logit = (tf.reduce_mean(second, (1, 2)) @ model.classify.kernel + model.classify.bias)[0, 2]
    gradient = tape.gradient(logit, second)
    expected = tf.einsum("hwc,c->hw", second[0], tf.reduce_mean(gradient[0], (0, 1))).numpy()
    np.testing.assert_allclose(found.maps["relu"].raw, expected, atol=1e-4 * np.abs(expected).max())


def test_inside_another_network_they_are_called_by_its_name(model):
    photo = keras.Input((*SIZE, 3))
    network = gc.load(keras.Model(photo, model(photo)))
    assert [layer.name for layer in gc.select(network, "stages")] == [f"{model.name}/add", f"{model.name}/relu"]


def test_what_a_layer_gives_is_called_like_the_layer():
    @keras.saving.register_keras_serializable("tests")
    class Block(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.one = keras.layers.Conv2D(5, 3, padding="same")

        def call(self, x):
            return x + keras.ops.relu(self.one(x))

    photo = keras.Input((*SIZE, 3))
    x = Block(name="block")(keras.layers.Conv2D(5, 3, 2)(photo))
    network = gc.load(keras.Model(photo, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))))
    names = [layer.name for layer in network.layers]
    assert names[1:] == ["block/one", "block/relu", "block"]
