"""Which layers can be explained, and which one stands for each stage."""

import keras
import pytest
from tiny_networks import SIDE, cam_network, deep_network, noise, seeded

from gradcam_core import LayerError, select, summary_table
from gradcam_core.maps import gradients
from gradcam_core.maps.explain import explain
from gradcam_core.networks.classifier import Classifier


def nested(head="softmax"):
    """Transfer learning as the guides show it: a base called as one layer of a new network."""
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(64, 64, 3), alpha=0.35)
    inputs = keras.Input((64, 64, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation=head)(x))


def test_layers_inside_a_nested_model_have_a_path_and_are_explained(tmp_path):
    model = nested()
    network = Classifier("nested", model)
    names = [layer.name for layer in select(network)]
    base = model.layers[2].name
    assert names[0] == f"{base}/block_1_expand_relu"
    assert names[-1] == f"{base}/out_relu"
    assert explain(network, noise(64)).maps[names[-1]].raw.shape == (2, 2)


def test_a_network_saved_and_loaded_again_has_the_same_layers_and_maps(tmp_path):
    for model in (nested(), deep_network().model):
        model.save(tmp_path / "network.keras")
        before = Classifier("before", model)
        after = Classifier("after", keras.saving.load_model(tmp_path / "network.keras"))
        assert before.layers == after.layers
        for name, heat_map in explain(before, noise(64), 0).maps.items():
            assert (explain(after, noise(64), 0).maps[name].raw == heat_map.raw).all()


def test_a_sequential_network_and_one_inside_another_are_explained():
    inner = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="one")], name="inner"
    )
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            inner,
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Conv2D(4, 3, name="two"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    network = Classifier("sequential", seeded(model))
    assert [(layer.name, layer.kind, layer.stage, layer.preset) for layer in network.layers] == [
        ("inner/one", "conv", 1, True),
        ("pool", "pool", 1, False),
        ("two", "conv", 2, False),
        ("relu", "activation", 2, True),
    ]
    assert explain(network, noise(), 1).maps["inner/one"].raw.shape == (14, 14)


def test_a_head_inside_a_nested_network_is_still_read_before_its_softmax():
    inner = deep_network().model
    network = Classifier("wrapped", keras.Sequential([keras.Input((16, 16, 3)), inner]))
    batch = network.to_input(noise())
    logits, maps = gradients.trace(network, (f"{inner.name}/relu3",))(batch, 1)
    direct, expected = gradients.trace(deep_network(), ("relu3",))(batch, 1)
    assert network.activation == "softmax"
    assert (logits == direct).all()
    assert (maps[f"{inner.name}/relu3"] == expected["relu3"]).all()


def test_an_unpadded_convolution_does_not_begin_a_stage():
    layers = [keras.Input((14, 14, 3))]
    for i, step in enumerate(["conv", "pool", "conv", "conv"]):
        options = {"name": f"{step}{i}"}
        layers.append(
            keras.layers.MaxPooling2D(**options)
            if step == "pool"
            else keras.layers.Conv2D(2, 3, activation="relu", **options)
        )
    model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(2)])
    assert [layer.name for layer in select(Classifier("unpadded", model))] == ["conv0", "conv3"]  # 12, then 6 -> 4 -> 2


def test_padding_is_no_stride():
    layers = [keras.layers.Conv2D(2, 3, 2, padding="same", activation="relu", name="half")]
    layers += [
        keras.layers.ZeroPadding2D(((1, 2), (1, 2))),
        keras.layers.Conv2D(2, 5, 2, activation="relu", name="quarter"),
    ]
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(2)])
    stages = select(Classifier("padded", model))
    assert [(layer.name, layer.shape[0], layer.stage) for layer in stages] == [("half", 6, 1), ("quarter", 3, 2)]


def test_a_named_output_is_read_like_any_other():
    plain = cam_network(activation="softmax")
    named = Classifier("named", keras.Model(plain.model.input, {"species": plain.model.output}))
    assert named.predict(noise(12)) == plain.predict(noise(12))


def test_a_layer_used_twice_is_listed_twice():
    inputs = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    x = keras.layers.GlobalAveragePooling2D()(shared(shared(inputs)))
    network = Classifier("shared", seeded(keras.Model(inputs, keras.layers.Dense(2)(x))))
    assert [layer.name for layer in network.layers] == ["shared", "shared#2"]
    first, second = explain(network, noise(8), 0, "all").maps.values()
    assert (first.raw != second.raw).any()


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):
    def build(self, shape):
        self.conv = keras.layers.Conv2D(shape[-1], 3, padding="same")
        self.conv.build(shape)

    def call(self, x):
        return keras.ops.relu(x + self.conv(x))


def test_a_custom_layer_with_layers_inside_is_a_block():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(Block(name="block")(inputs))
    network = Classifier("custom", keras.Model(inputs, keras.layers.Dense(2)(x)))
    assert [(layer.name, layer.kind) for layer in select(network)] == [("block", "block")]


def test_layers_are_selected_in_network_order_and_once():
    network = deep_network()
    assert [layer.name for layer in select(network, ["relu3", "conv1", "relu3"])] == ["conv1", "relu3"]
    assert [layer.name for layer in select(network, "last")] == ["relu3"]
    assert [layer.name for layer in select(network, "stages")] == ["conv1", "add2", "relu3"]
    assert [layer.name for layer in select(network, "pool1")] == ["pool1"]


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ("relu4", "no layer 'relu4'.*Nearest: relu3"),
        ("zzz", "no layer 'zzz'.*conv1, add2, relu3"),
        ("head", "no layer 'head'"),
        ([], "Choose at least one"),
        (7, "a name, or a list of names"),
        ([1], "a name, or a list of names"),
    ],
)
def test_a_wrong_layer_is_answered_with_what_would_be_right(layers, sentence):
    with pytest.raises(LayerError, match=sentence):
        select(deep_network(), layers)


def test_a_network_without_feature_maps_says_so():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(LayerError, match="no layer whose output is a grid"):
        select(Classifier("dense", model))


def test_the_summary_table_shows_every_layer_in_one_line():
    lines = summary_table(cam_network()).splitlines()
    assert lines[0].split()[:2] == ["layer", "kind"]
    assert lines[2].split() == ["conv", "conv", f"{SIDE}", "x", f"{SIDE}", "x", "4", "112", "1", "1", "x", "1"]
    assert lines[3].endswith("one per stage")


class OwnConvolution(keras.layers.Layer):
    """A convolution with weights of its own, and no layer inside."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], self.filters), name="kernel")

    def call(self, x):
        return keras.ops.relu(keras.ops.conv(x, self.kernel, padding="same"))


def test_custom_layers_with_weights_of_their_own_are_offered():
    inputs = keras.Input((8, 12, 3))
    x = keras.layers.MaxPooling2D(name="pool")(OwnConvolution(4, name="first")(inputs))
    x = keras.layers.GlobalAveragePooling2D()(OwnConvolution(5, name="second")(x))
    network = Classifier("own", seeded(keras.Model(inputs, keras.layers.Dense(3)(x))))
    assert [(layer.name, layer.kind, layer.stage, layer.preset) for layer in network.layers] == [
        ("first", "block", 1, True),
        ("pool", "pool", 1, False),
        ("second", "block", 2, True),
    ]
    assert list(explain(network, noise(), 0).maps) == ["first", "second"]


@pytest.mark.parametrize(
    "halves",
    [
        lambda x: (x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]),
        lambda x: keras.ops.split(x, 2, axis=-1),
    ],
)
def test_halves_of_the_channels_flow_on_to_their_merge(halves):
    inputs = keras.Input((16, 24, 3))
    x = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="stem")(inputs)
    kept, changed = halves(x)
    changed = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="half")(changed)
    x = keras.layers.Concatenate(name="merged")([kept, changed])
    x = keras.layers.Conv2D(6, 3, 2, padding="same", activation="relu", name="down")(x)
    network = Classifier("split", keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))))
    assert [(layer.name, layer.kind) for layer in select(network)] == [("merged", "merge"), ("down", "conv")]
    assert [layer.stage for layer in network.layers] == [1, 1, 1, 2]


def test_a_network_of_pools_alone_still_has_a_map():
    inputs = keras.Input((8, 12, 3))
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(name="pool")(inputs))
    network = Classifier("pools", seeded(keras.Model(inputs, keras.layers.Dense(3)(x))))
    assert list(explain(network, noise(), 0).maps) == ["pool"]


def test_every_map_of_a_layer_with_several_is_offered():
    class Two(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.convs = [keras.layers.Conv2D(3, 3, 2, padding="same"), keras.layers.Conv2D(4, 1)]

        def call(self, x):
            return [keras.ops.relu(conv(x)) for conv in self.convs]

    inputs = keras.Input((8, 12, 3))
    x = [keras.layers.GlobalAveragePooling2D()(y) for y in Two(name="two")(inputs)]
    network = Classifier("two", seeded(keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Concatenate()(x)))))
    shapes = {layer.name: layer.shape for layer in network.layers}
    assert shapes["two"] == (4, 6, 3)
    assert shapes["two:1"] == (8, 12, 4)
    assert [name for name in shapes if "/" in name] == ["two/convs_0", "two/convs_1"]
    assert explain(network, noise(), 0, ["two", "two:1"]).maps["two:1"].raw.any()
