"""Guided backpropagation, and Guided Grad-CAM."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import deep_network, noise, seeded

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.networks.classifier import Classifier
from gradcam_core.pictures.render import resize_heat


def relu_network(relu) -> Classifier:
    """Two dense layers over a convolution, each followed by a ReLU as ``relu(inputs, layer)`` puts it there."""
    inputs = keras.Input((6, 6, 3))
    x = relu(inputs, keras.layers.Conv2D(4, 3, name="conv"))
    x = keras.layers.Flatten()(x)
    x = relu(x, keras.layers.Dense(5, name="dense"))
    return Classifier("relus", seeded(keras.Model(inputs, keras.layers.Dense(2, name="head")(x)), 1))


def with_activation(x, layer):
    layer.activation = keras.activations.relu
    return layer(x)


RELUS = {
    "activation": with_activation,
    "layer": lambda x, layer: keras.layers.ReLU()(layer(x)),
    "activation layer": lambda x, layer: keras.layers.Activation("relu")(layer(x)),
    "operation": lambda x, layer: keras.ops.relu(layer(x)),
    "up to 6": lambda x, layer: keras.layers.ReLU(6)(layer(x)),
}


@pytest.mark.parametrize("kind", RELUS)
def test_guided_backpropagation_drops_what_is_negative_at_every_relu_and_what_one_cuts_off(kind):
    network = relu_network(RELUS[kind])
    most = 6 if kind == "up to 6" else np.inf
    batch = np.random.default_rng(1).normal(0, 3, (1, 6, 6, 3)).astype(np.float32)
    (conv, conv_bias), (dense, dense_bias), (head, _) = (
        network.model.get_layer(name).get_weights() for name in ("conv", "dense", "head")
    )
    convolved = np.zeros((4, 4, 4))
    for i, j in np.ndindex(4, 4):
        convolved[i, j] = np.einsum("hwc,hwck->k", batch[0, i : i + 3, j : j + 3], conv) + conv_bias
    assert convolved.max() > 7
    hidden = np.clip(convolved, 0, most).ravel() @ dense + dense_bias
    back = np.maximum(head[:, 1], 0) * (hidden > 0) * (hidden < most)
    back = np.maximum(dense @ back, 0).reshape(4, 4, 4) * (convolved > 0) * (convolved < most)
    expected = np.zeros((6, 6, 3))
    for i, j in np.ndindex(4, 4):
        expected[i : i + 3, j : j + 3] += conv @ back[i, j]
    found = gradients.guided_backpropagation(network)(batch, np.float32([0, 1]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not np.allclose(expected, 0)


def test_relus_inside_a_nested_model_are_guided_too():
    def network(is_nested):
        part = keras.Sequential(
            [keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
        )
        inputs = keras.Input((6, 6, 3))
        x = inputs
        for layer in [part] if is_nested else part.layers:
            x = layer(x)
        x = keras.layers.Dense(5, activation="relu")(x)
        return Classifier("nested", seeded(keras.Model(inputs, keras.layers.Dense(2)(x)), seed=0))

    batch = np.random.default_rng(1).normal(0, 1, (1, 6, 6, 3)).astype(np.float32)
    nested, flat = (
        gradients.guided_backpropagation(network(is_nested))(batch, np.float32([0, 1])) for is_nested in (True, False)
    )
    np.testing.assert_allclose(nested, flat, atol=1e-6)
    assert nested.any()


def test_guided_grad_cam_is_the_product_of_both():
    network, photo = deep_network(), noise()
    raw = gc.explain(network, photo, 1, "relu2", method="guided").maps["relu2"].raw
    coarse = gc.explain(network, photo, 1, "relu2").maps["relu2"]
    guided = gradients.guided_backpropagation(network)(network.to_input(photo), np.eye(4, dtype=np.float32)[1])
    expected = resize_heat(coarse.heat, 16, 16) * coarse.peak * np.abs(guided).max(-1)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-7)
    assert raw.shape == network.input_size


def test_the_network_is_bit_equal_after_guided_grad_cam_and_after_its_failure():
    network = deep_network()
    before, config = [np.copy(w) for w in network.model.get_weights()], network.model.to_json()
    prediction = network.model(network.to_input(noise()).copy()).numpy()
    gc.explain(network, noise(), 1, method="guided")
    with pytest.raises(gc.GradcamError):
        gc.explain(network, noise(), 1, "no such layer", method="guided")
    for mine, its in zip(network.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, its)
    assert network.model.to_json() == config
    np.testing.assert_array_equal(network.model(network.to_input(noise()).copy()).numpy(), prediction)


def test_without_a_relu_nothing_is_guided():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, activation="gelu", name="conv")(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    with pytest.raises(gc.SettingError, match="Choose another method"):
        gc.explain(Classifier("smooth", keras.Model(inputs, outputs)), noise(), method="guided")


def test_values_that_are_not_numbers_are_the_networks_fault():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, activation="relu")(inputs / keras.ops.max(inputs))  # 0 / 0 for a black photo
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    network = Classifier("divides", keras.Model(inputs, outputs))
    with pytest.raises(gc.NetworkError, match="divides gives values that are not numbers"):
        gc.explain(network, np.zeros((8, 8, 3), np.uint8), 1, method="guided")


class Compiled(keras.layers.Layer):
    """A ReLU that TensorFlow compiles by itself, inside a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(4, 3, name="conv")

    def build(self, shape):
        self.conv.build(shape)

    @tf.function
    def call(self, x):
        return tf.nn.relu(self.conv(x))


def test_relus_in_a_function_that_is_compiled_by_itself_are_guided_too():
    inputs = keras.Input((8, 12, 3))
    block, dense = Compiled(), keras.layers.Dense(2)
    model = seeded(keras.Model(inputs, dense(keras.layers.Flatten()(block(inputs)))), seed=0)
    flat = keras.Model(inputs, dense(keras.layers.Flatten()(keras.layers.ReLU()(block.conv(inputs)))))
    batch = np.random.default_rng(1).normal(0, 1, (1, 8, 12, 3)).astype(np.float32)
    block(batch)  # so that it has been compiled before
    hidden, plain = (
        gradients.guided_backpropagation(Classifier("own", one))(batch, np.float32([0, 1])) for one in (model, flat)
    )
    np.testing.assert_allclose(hidden, plain, atol=1e-6)
    assert hidden.any()


def test_what_explains_a_faint_score_is_as_much_fainter():
    raw = []
    for scale in (1, 2.0**-40):
        network = deep_network(None)
        kernel = network.model.layers[-1].kernel
        kernel.assign(kernel * scale)
        raw.append(gc.explain(network, noise(), 1, ["relu2"], method="guided").maps["relu2"].raw)
    assert raw[0].any()
    np.testing.assert_allclose(raw[1] * 2.0**80, raw[0], rtol=1e-4)  # both of its factors are
