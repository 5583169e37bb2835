"""Layers are called what Keras allows, also what TensorFlow does not take as a scope."""

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded

import gradcam_core as gc
from gradcam_core.trust import sanity_check

NAMES = ["first conv", "блок1", "_conv", "-x", "a:b", "a%b", "层", "a\nb", "x" * 3000, "conv.1>2", "{}"]


def network_of(name: str, is_nested: bool) -> tuple[gc.Classifier, keras.Model]:
    inputs = keras.Input((12, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, name=name)(inputs)
    x = keras.layers.ReLU(name=f"{name} 2")(x)
    if is_nested:
        inner = keras.Model(inputs, x, name=f"{name} model")
        inputs = keras.Input((12, 16, 3))
        x = inner(inputs)
    x = keras.layers.GlobalAveragePooling2D(name=f"{name} pool")(x)
    model = seeded(keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name=f"{name} head")(x)))
    return gc.Classifier("named", model), model


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_layers_with_any_name_are_explained(name, is_nested):
    network, model = network_of(name, is_nested)
    photo = noise(20)
    layer = f"{name} model/{name} 2" if is_nested else f"{name} 2"
    explanation = gc.explain(network, photo, 1, [layer])
    assert list(explanation.maps) == [layer]
    expected = model(network.to_input(photo)).numpy()[0]
    found = {prediction.index: prediction.probability for prediction in explanation.predictions}
    np.testing.assert_allclose([found[index] for index in range(3)], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["_conv", "-x", "блок1", "first conv"])
def test_so_is_a_row_of_layers_whose_names_are_the_first_in_the_graph(name):
    rows = [keras.Input((12, 16, 3)), keras.layers.Conv2D(4, 3, name=name), keras.layers.Flatten()]
    network = gc.Classifier("named", keras.Sequential([*rows, keras.layers.Dense(3)], name=name))
    assert list(gc.explain(network, noise(20), 1).maps) == [name]


class Own(keras.Model):
    """A model with a call of its own, whose layers are not made in the order in which they are called."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.last = keras.layers.Dense(3, name=f"{name} 3")
        self.second = keras.layers.Conv2D(5, 3, name=f"{name} 2")
        self.larger = keras.Sequential([keras.layers.UpSampling2D(2), keras.layers.Conv2D(4, 1, name=f"{name} wide")])
        self.grey = keras.layers.Conv2D(1, 1, name=f"{name} grey")
        self.after_grey = keras.layers.Conv2D(4, 3, name=f"{name} after")
        self.first = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same", name=name)])

    def call(self, x):
        arms = self.second(self.larger(self.first(x))), self.after_grey(self.grey(x))
        return self.last(keras.ops.concatenate([keras.ops.mean(arm, axis=(1, 2)) for arm in arms], axis=1))


class OfWords(keras.Model):
    """A model of one's own that takes no image, and what its convolution takes looks like one."""

    def __init__(self) -> None:
        super().__init__(name="words")
        self.embedding = keras.layers.Embedding(30, 10)
        self.conv = keras.layers.Conv2D(4, 3, name="first conv")

    def call(self, x):
        return keras.ops.mean(self.conv(self.embedding(x)[..., None]), axis=(1, 2))


@pytest.fixture
def _no_scope_left():
    """Where Keras cannot trace a call, what is built later in the process is called as if it were inside that model."""
    yield
    keras.utils.clear_session()


@pytest.mark.usefixtures("_no_scope_left")
@pytest.mark.parametrize("name", ["net", "_net", "first conv", "блок1"])
def test_so_they_are_in_a_model_with_a_call_of_its_own(name):
    model = Own(name)
    model(np.zeros((1, 12, 16, 3), np.float32))
    network = gc.Classifier("named", model)
    assert (network.input_size, network.channels) == ((12, 16), 3)
    photo = noise(20)
    explanation = gc.explain(network, photo, 1, [f"{name} 2"])
    expected = keras.ops.softmax(model(network.to_input(photo))).numpy()[0]
    found = {prediction.index: prediction.probability for prediction in explanation.predictions}
    np.testing.assert_allclose([found[index] for index in range(3)], expected, atol=1e-5)


@pytest.mark.usefixtures("_no_scope_left")
def test_a_model_of_ones_own_that_takes_no_image_is_refused_by_what_is_known():
    model = OfWords()
    model(np.zeros((1, 20), np.int32))
    with pytest.raises(gc.NetworkError, match=r"takes inputs of unknown shape; an image of shape .* is needed\.$"):
        gc.Classifier("named", model)


def test_so_they_are_by_the_other_passes():
    network, _ = network_of("первый слой", False)
    photo = noise(20)
    for method in ("guided", "scorecam"):
        assert gc.explain(network, photo, 1, "last", method=method).maps
    assert gc.explain_classes(network, photo, [0, 1], "last")[1].maps
    assert sanity_check(network, photo, 1, draws=1).passes
