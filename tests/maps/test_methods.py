"""Every method against a NumPy reference of its equations, and against what is known on paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import SIDE, cam_network, deep_network, noise, seeded

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.maps.methods import FUNCTIONS
from gradcam_core.networks.classifier import Classifier
from gradcam_core.settings import METHODS

ONE_PASS = sorted(FUNCTIONS)


def first_component(matrix):
    """(h, w, c) along its first right singular vector, towards the sum of its channels."""
    rows = matrix.reshape(-1, matrix.shape[-1]).astype(np.float64)
    component = rows @ np.linalg.svd(rows, full_matrices=False)[2][0]
    return (np.sign(component @ rows.sum(1)) * component).reshape(matrix.shape[:2])


def plus_plus(a, g):
    weights = np.zeros(a.shape[-1])
    for k in range(a.shape[-1]):
        for i, j in np.ndindex(a.shape[:2]):
            below = 2 * g[i, j, k] ** 2 + g[i, j, k] ** 3 * a[..., k].sum()
            if g[i, j, k] and below:
                weights[k] += g[i, j, k] ** 2 / below * max(0, g[i, j, k])
    return a @ weights


def x_weights(a, g):
    totals = a.sum((0, 1))
    return np.array([(a[..., k] * g[..., k]).sum() / t if t else 0 for k, t in enumerate(totals)])


REFERENCES = {
    "gradcam": lambda a, g: a @ g.mean((0, 1)),
    "gradcam++": plus_plus,
    "xgradcam": lambda a, g: a @ x_weights(a, g),
    "layercam": lambda a, g: (np.maximum(g, 0) * a).sum(-1),
    "hirescam": lambda a, g: (g * a).sum(-1),
    "eigencam": lambda a, g: first_component(a),
    "eigengradcam": lambda a, g: first_component(g * a),
    "cam": lambda a, g: a @ g.sum((0, 1)),
}


@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 3, 9)])
@pytest.mark.parametrize("method", ONE_PASS)
def test_a_method_is_its_equation(method, shape):
    random = np.random.default_rng(3)
    activation = np.maximum(random.normal(0.5, 1, (2, *shape)), 0).astype(np.float32)  # with zeros, as after a ReLU
    activation[..., 1] = 0
    gradient = random.normal(0, 1, (2, *shape)).astype(np.float32)
    gradient[:, 0, 0] = 0
    maps = FUNCTIONS[method](tf.constant(activation), tf.constant(gradient)).numpy()
    expected = [REFERENCES[method](a, g) for a, g in zip(activation, gradient, strict=True)]
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ONE_PASS)
@pytest.mark.parametrize("size", [1e-6, 1e-15, 1e-25])  # the square of the last is no float32
def test_small_gradients_give_the_same_picture(method, size):
    random = np.random.default_rng(4)
    activation = random.random((1, 4, 4, 3), np.float32)
    gradient = random.normal(0, 1, (1, 4, 4, 3)).astype(np.float32)
    if method == "gradcam++":  # not proportional: it depends on the size of gradient times activation
        gradient *= 1e-6
    whole, small = (
        FUNCTIONS[method](tf.constant(activation), tf.constant(gradient * np.float32(s))).numpy() for s in (1, size)
    )
    np.testing.assert_allclose(small / np.abs(small).max(), whole / np.abs(whole).max(), atol=1e-4)


@pytest.mark.parametrize("method", ONE_PASS)
def test_nothing_in_gives_nothing_out_and_no_nan(method):
    zeros, ones = tf.zeros((1, 3, 3, 2)), tf.ones((1, 3, 3, 2))
    assert not FUNCTIONS[method](zeros, zeros).numpy().any()
    assert not FUNCTIONS[method](zeros, ones).numpy().any()
    if method != "eigencam":  # which does not ask for the gradient
        assert not FUNCTIONS[method](ones, zeros).numpy().any()
        assert FUNCTIONS[method](ones, -ones).numpy().max() <= 0


def test_every_method_has_a_name_and_a_sentence():
    assert set(METHODS) == {*FUNCTIONS, "scorecam", "guided"}
    assert all(info.title and info.about.endswith(".") for info in METHODS.values())
    assert all(METHODS[name].is_one_pass for name in FUNCTIONS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_several_classes_at_once_have_the_maps_of_each_alone(method):
    network = deep_network() if method != "cam" else cam_network(classes=4)
    together = gc.explain_classes(network, noise(), [0, 2, 3], "all", method=method)
    for index, found in zip((0, 2, 3), together, strict=True):
        alone = gc.explain(network, noise(), index, "all", method=method)
        assert found.method == alone.method == method
        for name, heat_map in alone.maps.items():
            size = np.abs(heat_map.raw).max()
            np.testing.assert_allclose(found.maps[name].raw, heat_map.raw, atol=1e-4 * size)


def test_where_cam_is_defined_the_methods_agree():
    network = cam_network(activation="softmax")
    maps = {m: gc.explain(network, noise(), 1, "relu", method=m).maps["relu"].raw for m in FUNCTIONS}
    activation = gradients.trace(network, ("relu",), lambda a, g: a)(network.to_input(noise()), 1)[1]["relu"]
    by_head = activation @ network.model.get_layer("head").get_weights()[0][:, 1]
    np.testing.assert_allclose(maps["cam"], by_head, atol=1e-5)
    np.testing.assert_allclose(maps["gradcam"] * SIDE * SIDE, by_head, atol=1e-4)
    for method in ("hirescam", "xgradcam"):  # the gradient is the same in every cell
        np.testing.assert_allclose(maps[method], maps["gradcam"], atol=1e-6)


def test_hirescam_and_xgradcam_sum_up_to_the_score():
    network = cam_network()
    logits = network.predict_logits(network.to_input(noise()))[0]
    bias = network.model.get_layer("head").get_weights()[1]
    for method in ("hirescam", "xgradcam"):
        raw = gc.explain(network, noise(), 2, "relu", method=method).maps["relu"].raw
        assert raw.sum() == pytest.approx(logits[2] - bias[2], abs=1e-5)


def test_cam_names_the_one_layer_it_can_explain():
    assert cam_network().cam_layer == "relu"
    assert list(gc.explain(cam_network(), noise(), method="cam").maps) == ["relu"]
    for layers in ("conv", ["relu", "conv"], None):
        with pytest.raises(gc.LayerError, match="CAM explains one layer of cam, relu"):
            gc.explain(cam_network(), noise(), layers=layers, method="cam")


def test_cam_says_when_the_head_does_not_allow_it():
    assert deep_network().cam_layer is None  # two dense layers
    with pytest.raises(gc.LayerError, match="deep has none"):
        gc.explain(deep_network(), noise(), method="cam")


@pytest.mark.parametrize(
    ("between", "head", "layer"),
    [
        (keras.layers.Dropout(0.2), "softmax", "conv"),
        (keras.layers.BatchNormalization(), "softmax", None),  # what is averaged is not offered
        (keras.layers.ReLU(name="relu"), "tanh", None),  # its weights make no score
    ],
)
def test_cam_knows_what_is_averaged_and_what_is_a_head(between, head, layer):
    inputs = keras.Input((8, 8, 3))
    x = between(keras.layers.Conv2D(3, 3, name="conv")(inputs))
    outputs = keras.layers.Dense(2, activation=head)(keras.layers.GlobalAveragePooling2D()(x))
    network = Classifier("own", keras.Model(inputs, outputs))
    assert network.cam_layer == layer
    if layer:
        assert list(gc.explain(network, noise(), layers=[layer], method="cam").maps) == [layer]
    else:
        with pytest.raises(gc.LayerError, match="own has none"):
            gc.explain(network, noise(), method="cam")


def mean(x, axis, **options):
    return keras.ops.mean(x, axis=axis, **options)


def dense(units):
    return keras.layers.Dense(units)


@pytest.mark.parametrize(
    ("head", "layer"),
    [
        (lambda x: dense(2)(mean(x, (1, 2))), "conv"),
        (lambda x: dense(2)(mean(mean(x, 1), 1)), None),  # one side after the other
        (lambda x: keras.layers.Flatten()(keras.layers.Conv2D(2, 1)(mean(x, (1, 2), keepdims=True))), "conv"),
        (lambda x: dense(2)(dense(4)(mean(x, (1, 2)))), None),
        (lambda x: mean(x, (1, 2)), None),  # the channels are the classes
        (lambda x: dense(2)(keras.layers.Flatten()(mean(x, 1))), None),  # each column has weights of its own
        (lambda x: dense(2)(mean(x, (1, 3))), None),
        (lambda x: dense(2)(mean(x, (1, 2)) * keras.ops.max(x, axis=(1, 2))), None),  # the photo sets the weights
        (lambda x: dense(2)(mean(x, (1, 2))) + dense(2)(keras.ops.max(x, axis=(1, 2))), None),
    ],
    ids=["whole", "by side", "1 x 1", "two layers", "no layer", "columns", "rows and channels", "gated", "and more"],
)
def test_cam_wants_an_average_of_all_cells_and_one_linear_layer_after_it(head, layer):
    inputs = keras.Input((8, 10, 3))
    features = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    assert Classifier("own", seeded(keras.Model(inputs, head(features)))).cam_layer == layer


def test_guided_backpropagation_reaches_what_is_inside_a_block():
    """The same network with its ReLUs in the open, and inside layers of one's own: as a layer, and as functions."""

    class Block(keras.layers.Layer):
        def __init__(self, conv, act):
            super().__init__()
            self.conv, self.act = conv, act

        def call(self, x):
            return self.act(self.conv(x))

    convs = [keras.layers.Conv2D(4, 3, padding="same", name=f"conv{i}") for i in range(2)]
    hidden, head = keras.layers.Dense(5, activation="relu"), keras.layers.Dense(3)

    def network(act, is_block):
        x = inputs = keras.Input((12, 16, 3))
        x = keras.layers.Rescaling(1 / 255)(x)
        for conv in convs:
            x = Block(conv, act())(x) if is_block else act()(conv(x))
        return keras.Model(inputs, head(hidden(keras.layers.GlobalAveragePooling2D()(x))))

    flat = seeded(network(keras.layers.ReLU, False))
    expected = list(gc.explain(Classifier("flat", flat), noise(), 0, "last", method="guided").maps.values())[-1].raw
    assert expected.any()
    for act in (keras.layers.ReLU, lambda: keras.ops.relu, lambda: tf.nn.relu):
        blocks = Classifier("blocks", network(act, True))
        found = list(gc.explain(blocks, noise(), 0, "last", method="guided").maps.values())[-1].raw
        np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    "attend",
    [
        lambda t: keras.layers.Attention()([t, t]),
        lambda t: keras.layers.MultiHeadAttention(2, 3)(t, t),
        lambda t: keras.layers.AdditiveAttention()([t, t]),
        lambda t: keras.ops.matmul(t, keras.ops.transpose(t, (0, 2, 1))),
    ],
)
def test_several_classes_of_a_network_with_attention_have_the_maps_of_each_alone(attend):
    inputs = keras.Input((8, 10, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")(
        keras.layers.Rescaling(1 / 255)(inputs)
    )
    x = keras.layers.Flatten()(attend(keras.layers.Reshape((-1, 6))(x)))
    network = Classifier("attention", seeded(keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x))))
    together = gc.explain_classes(network, noise(), [0, 3, 2])
    for index, found in zip((0, 3, 2), together, strict=True):
        alone = gc.explain(network, noise(), index).maps["conv"].raw
        np.testing.assert_allclose(found.maps["conv"].raw, alone, atol=1e-4 * np.abs(alone).max())
