"""Networks that are classes of somebody's own: alone, around or inside others, and from their files."""

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded

import gradcam_core as gc

L = keras.layers


@keras.saving.register_keras_serializable("tests.subclassed")
class Residual(L.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = L.Conv2D(filters, 3, padding="same", name="conv")
        self.skip = L.Conv2D(filters, 1, name="skip")

    def build(self, shape):
        self.conv.build(shape)
        self.skip.build(shape)

    def call(self, x):
        return keras.ops.relu(self.conv(x) + self.skip(x))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable("tests.subclassed")
class Network(keras.Model):
    def __init__(self, classes=3, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.blocks = [Residual(4), Residual(6)]
        self.pool, self.head = L.MaxPooling2D(), L.Dense(classes, activation="softmax")

    def call(self, x):
        x = self.pool(self.blocks[0](x / 255))
        return self.head(keras.ops.mean(self.blocks[1](x), (1, 2)))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


LAYERS = ["blocks_0", "pool", "blocks_1"]


def alone():
    model = Network()
    model(np.zeros((1, 12, 20, 3), np.float32))
    return seeded(model)


def wrapped():
    inputs = keras.Input((12, 20, 3))
    return keras.Model(inputs, L.Identity()(Network(name="own")(inputs)))


def expected(network, photo):
    """Grad-CAM of the last block by another way: a functional network of the same weights."""
    inner = network.model if isinstance(network.model, Network) else network.model.get_layer("own")
    inputs = keras.Input((12, 20, 3))
    x = inner.pool(inner.blocks[0](L.Rescaling(1 / 255)(inputs)))
    x = inner.blocks[1](x)
    plain = gc.Classifier("plain", keras.Model(inputs, inner.head(L.GlobalAveragePooling2D()(x))))
    (heat_map,) = gc.explain(plain, photo, 1, "last").maps.values()
    return plain.predict(photo), heat_map.raw


@pytest.mark.parametrize(("make", "prefix"), [(alone, ""), (wrapped, "own/")])
@pytest.mark.parametrize("is_file", [False, True])
def test_a_class_of_ones_own_is_explained_like_any_network(make, prefix, is_file, tmp_path):
    model = seeded(make())
    network = gc.Classifier("own", model, input_size=(12, 20))
    if is_file:
        model.save(tmp_path / "own.keras")
        network = gc.load(tmp_path / "own.keras", input_size=(12, 20))
    photo = noise(12, width=20)
    result = gc.explain(network, photo, 1, [f"{prefix}{name}" for name in LAYERS])
    assert [m.layer.name.removeprefix(prefix) for m in result.maps.values()] == LAYERS
    assert [layer.name.removeprefix(prefix) for layer in gc.select(network)] == ["blocks_0", "blocks_1"]
    predictions, last = expected(network, photo)
    np.testing.assert_allclose(result.maps[f"{prefix}blocks_1"].raw, last, atol=1e-6)
    assert [p.index for p in result.predictions] == [p.index for p in predictions]
    np.testing.assert_allclose(
        [p.probability for p in result.predictions], [p.probability for p in predictions], atol=1e-6
    )
