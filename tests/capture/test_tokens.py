"""Tokens brought back to the grid that they were: which layers of a transformer are explained, and where they lie."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import noise, seeded
from transformers import PATCH, SIZE, WithTokens, photo, tape, transformer

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.settings import METHODS

L, ops = keras.layers, keras.ops
GRID = (3, 5)
AT = (16, 8)  # of a red patch: the last row, the second column


def grad_cam(activation, gradient):
    return (activation * gradient.mean((0, 1))).sum(-1)


@pytest.mark.parametrize(
    ("settings", "first"), [({}, 0), ({"tokens": 1}, 1), ({"tokens": 2, "is_last": True}, 0), ({"head": "mean"}, 0)]
)
def test_the_map_of_tokens_is_that_of_their_grid(settings, first):
    model = transformer(**settings)
    network = gc.Classifier("own", model)
    heat_map = gc.explain(network, photo(), 1, "block1").maps["block1"]
    assert heat_map.layer.shape == (*GRID, 6)
    assert heat_map.layer.cell == (PATCH, PATCH)
    found = [x[first : first + 15].reshape(*GRID, -1) for x in tape(model, "block1", network.to_input(photo()), 1)]
    np.testing.assert_allclose(heat_map.raw, grad_cam(*found), atol=1e-4 * np.abs(heat_map.raw).max())


@pytest.mark.parametrize("tokens", [{"tokens": 1}, {"tokens": 2, "is_last": True}])
def test_where_only_the_class_token_is_read_the_last_layer_is_the_last_that_it_saw(tokens):
    model = transformer("token", blocks=3, **tokens)
    network = gc.Classifier("own", model)
    names = [layer.name for layer in network.layers]
    assert gc.select(network, "last")[0].name == "block2"
    assert not {"seen3", "wide3", "block3"} & set(names)
    maps = gc.explain(network, photo(), 0, ["block2", "block3"]).maps
    assert np.abs(maps["block2"].raw).max() > 0
    assert not maps["block3"].raw.any()  # the gradient by it is 0, and so it is not listed


@pytest.mark.parametrize(
    ("head", "expected"), [("mean", ["block3", "block6", "block9", "block12"]), ("token", ["block11"])]
)
def test_several_layers_stand_for_the_depth(head, expected):
    network = gc.Classifier("deep", transformer(head, blocks=12, tokens=1))
    presets = [layer.name for layer in network.layers if layer.preset]
    assert len(presets) == 4
    assert presets[-len(expected) :] == expected
    assert {layer.stage for layer in network.layers} == {1}
    offered = [layer.name for layer in network.layers if layer.name.startswith(("seen", "block"))]
    gaps = np.diff([offered.index(name) for name in presets])
    assert gaps.max() - gaps.min() <= 1


def test_the_kinds_of_a_transformer():
    kinds = {layer.name: layer.kind for layer in gc.summary(gc.Classifier("own", transformer()))}
    assert {name: kinds[name] for name in ("encoder", "attention1", "seen1", "wide1", "block1")} == {
        "encoder": "block", "attention1": "attention", "seen1": "merge", "wide1": "conv", "block1": "merge",
    }  # fmt: skip
    assert "norm1" not in kinds


def rows_of_tokens(x):
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3]))


def windows_and_back(x, side=2):
    """As in a Swin: cells in windows of 2 x 2, moved round by one, and put back."""
    _, height, width, channels = x.shape
    x = ops.roll(x, (-1, -1), (1, 2))
    x = ops.reshape(x, (-1, height // side, side, width // side, side, channels))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side * side, channels))
    x = L.Dense(channels, kernel_initializer="identity")(x)
    x = ops.reshape(x, (-1, height // side, width // side, side, side, channels))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height, width, channels))
    return ops.roll(x, (1, 1), (1, 2))


class OldPatches(L.Layer):
    def call(self, x):
        patches = tf.image.extract_patches(x, [1, 8, 8, 1], [1, 8, 8, 1], [1, 1, 1, 1], "VALID")
        return tf.reshape(patches, (tf.shape(x)[0], -1, patches.shape[-1]))


class TakenOff(L.Layer):
    def call(self, x):
        return tf.gather(x, np.arange(1, 16), axis=1)


def patches(x):
    return L.AveragePooling2D(PATCH)(x)


WAYS = {
    "pooled": lambda x: rows_of_tokens(patches(x)),
    "cut into patches": lambda x: OldPatches()(x),
    "cut by reshapes": lambda x: ops.reshape(
        ops.transpose(ops.reshape(x, (-1, 3, 8, 5, 8, 3)), (0, 1, 3, 2, 4, 5)), (-1, 15, 192)
    ),
    "column by column": lambda x: rows_of_tokens(ops.transpose(patches(x), (0, 2, 1, 3))),
    "channels first": lambda x: ops.transpose(
        ops.reshape(ops.transpose(patches(x), (0, 3, 1, 2)), (-1, 3, 15)), (0, 2, 1)
    ),
    "tokens around": lambda x: WithTokens(2)(WithTokens(1, is_last=True)(rows_of_tokens(patches(x)))),
    "tokens taken off": lambda x: WithTokens(2)(rows_of_tokens(patches(x)))[:, 2:],
    "tokens taken off at the end": lambda x: WithTokens(1, is_last=True)(rows_of_tokens(patches(x)))[:, :-1],
    "tokens taken off by numbers": lambda x: TakenOff()(WithTokens(1)(rows_of_tokens(patches(x)))),
    "back to a grid": lambda x: ops.flip(ops.reshape(rows_of_tokens(patches(x)), (-1, 3, 5, 3)), 2),
    "windows": lambda x: rows_of_tokens(windows_and_back(L.ZeroPadding2D(((0, 1), (1, 0)))(patches(x)))),
    "cropped before": lambda x: rows_of_tokens(patches(L.Cropping2D(((8, 0), (0, 16)))(x))),
    "heads": lambda x: ops.reshape(
        ops.transpose(ops.reshape(WithTokens(1)(rows_of_tokens(patches(x))), (-1, 16, 3, 1)), (0, 1, 3, 2)), (-1, 16, 3)
    ),
}  # fmt: skip


def red_after(way):
    """A network that makes tokens of the photo, and finds red ones in one layer, "red"."""
    inputs = keras.Input((*SIZE, 3))
    dense = L.Dense(1, activation="relu", name="red")
    x = dense(way(L.Rescaling(1 / 255)(inputs)))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalMaxPooling1D()(L.Reshape((-1, 1))(x))))
    for variable in model.weights:
        if "tokens" in variable.path:
            variable.assign(np.full(variable.shape, -1))
    pixels = dense.kernel.shape[0] // 3
    dense.set_weights([np.tile(np.float32([[1], [-1], [-1]]), (pixels, 1)), np.zeros(1)])
    model.layers[-1].set_weights([np.float32([[10, 0]]), np.zeros(2)])
    return gc.Classifier("red", model)


@pytest.mark.parametrize("way", WAYS)
def test_a_red_patch_is_found_where_it_is(way):
    network = red_after(WAYS[way])
    image = np.zeros((*SIZE, 3), np.uint8)
    image[AT[0] : AT[0] + PATCH, AT[1] : AT[1] + PATCH] = (255, 0, 0)
    heat_map = gc.explain(network, image, 0, "red").maps["red"]
    assert heat_map.layer.place is not None
    assert heat_map.layer.cell == (PATCH, PATCH)
    expected = np.zeros(GRID)
    expected[AT[0] // PATCH, AT[1] // PATCH] = 1
    np.testing.assert_allclose(heat_map.heat, expected, atol=1e-6)


@pytest.mark.parametrize(
    "way",
    [
        lambda x: ops.take(rows_of_tokens(patches(x)), np.random.default_rng(0).permutation(15), axis=1),
        lambda x: rows_of_tokens(ops.roll(patches(x), 1, axis=2)),
        lambda x: rows_of_tokens(patches(x)) + ops.flip(rows_of_tokens(patches(x)), 1),
    ],
)
def test_tokens_that_cannot_be_followed_have_no_map(way):
    with pytest.raises(gc.LayerError, match="no layer 'red' that can be explained"):
        gc.explain(red_after(way), noise(24), 0, "red")


def test_windows_and_the_weights_of_an_attention_are_no_maps():
    inputs = keras.Input((16, 24, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    tokens = L.Reshape((16 * 24, 4))(x)
    weights = L.Softmax(name="weights")(ops.matmul(tokens, ops.transpose(tokens, (0, 2, 1))))
    weights = L.ReLU(name="of heads")(L.Reshape((1, 384, 384))(weights))
    x = ops.reshape(ops.matmul(L.Reshape((384, 384))(weights), tokens), (-1, 16, 24, 4))
    parts = ops.reshape(ops.transpose(ops.reshape(x, (-1, 2, 8, 2, 12, 4)), (0, 1, 3, 2, 4, 5)), (-1, 8, 12, 4))
    parts = L.Conv2D(4, 3, padding="same", activation="relu", name="in windows")(parts)
    x = ops.reshape(ops.transpose(ops.reshape(parts, (-1, 2, 2, 8, 12, 4)), (0, 1, 3, 2, 4, 5)), (-1, 16, 24, 4))
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="last")(x))
    network = gc.Classifier("own", seeded(keras.Model(inputs, L.Dense(3)(x))))
    assert [layer.name for layer in network.layers if layer.name in ("first", "of heads", "in windows", "last")] == [
        "first",
        "last",
    ]


@pytest.mark.parametrize(
    "attend",
    [
        lambda t: L.Attention()([t, t]),
        lambda t: L.AdditiveAttention()([t, t]),
        lambda t: L.MultiHeadAttention(2, 3)(t, t),
        lambda t: ops.matmul(ops.softmax(ops.matmul(t, ops.transpose(t, (0, 2, 1)))), t),
    ],
)
def test_several_classes_of_a_network_with_attention_are_those_of_one_at_a_time(attend):
    inputs = keras.Input((12, 20, 3))
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="conv")(L.Rescaling(1 / 255)(inputs))
    x = L.Flatten()(attend(L.Reshape((-1, 6), name="tokens")(x)))
    network = gc.Classifier("own", seeded(keras.Model(inputs, L.Dense(4, activation="softmax")(x))))
    image = noise(12, width=20)
    assert "conv" in [layer.name for layer in gc.select(network)]
    many = gc.explain_classes(network, image, [2, 0, 3], ["conv", "tokens"])
    for target, found in zip([2, 0, 3], many, strict=True):
        alone = gc.explain(network, image, target, ["conv", "tokens"])
        for name in ("conv", "tokens"):
            peak = np.abs(alone.maps[name].raw).max()
            assert peak > 0
            np.testing.assert_allclose(found.maps[name].raw, alone.maps[name].raw, atol=1e-4 * peak)
        np.testing.assert_allclose(found.maps["tokens"].raw, found.maps["conv"].raw, atol=1e-6)


def test_every_method_explains_tokens():
    inputs = keras.Input((*SIZE, 3))
    x = L.Dense(4, activation="relu", name="red")(rows_of_tokens(patches(L.Rescaling(1 / 255)(inputs))))
    model = seeded(keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x))))
    network = gc.Classifier("own", model)
    assert network.cam_layer == "red"
    for method in METHODS:
        assert gc.explain(network, photo(), 2, method=method).maps["red"].raw.shape in (GRID, SIZE)
    kernel, _ = model.layers[-1].get_weights()
    activation = gradients.trace(network, ("red",), lambda a, g: a)(network.to_input(photo()), 0)[1]["red"]
    cam = gc.explain(network, photo(), 2, method="cam").maps["red"].raw
    np.testing.assert_allclose(cam, activation @ kernel[:, 2], atol=1e-5)


def test_an_attention_that_gives_its_weights_too_is_explained():
    inputs = keras.Input((*SIZE, 3))
    tokens = rows_of_tokens(L.Conv2D(6, PATCH, PATCH, name="conv")(inputs))
    x, weights = L.MultiHeadAttention(2, 3, name="attention")(tokens, tokens, return_attention_scores=True)
    x = L.Dense(3)(L.Flatten()(x)) + L.Dense(3)(L.Flatten()(weights))
    network = gc.Classifier("own", seeded(keras.Model(inputs, x)))
    assert [(layer.name, layer.shape) for layer in network.layers] == [("conv", (*GRID, 6)), ("attention", (*GRID, 6))]
    assert gc.explain(network, photo(), 1, ["attention"]).maps["attention"].raw.any()
