"""Which layers can be explained, and which one stands for each stage: in every network of keras.applications."""

from itertools import pairwise

import keras
import pytest
from applications import application
from tiny_networks import SIDE, cam_network, deep_network, noise, seeded

from gradcam_core import NETWORKS, LayerError, load, select, summary, summary_table
from gradcam_core.maps import gradients
from gradcam_core.maps.explain import explain
from gradcam_core.networks.classifier import Classifier

STAGES = {
    "VGG16": ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"],
    "VGG19": ["block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4", "block5_conv4"],
    "ResNet50": ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"],
    "ResNet101": ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block23_out", "conv5_block3_out"],
    "ResNet152": ["conv1_relu", "conv2_block3_out", "conv3_block8_out", "conv4_block36_out", "conv5_block3_out"],
    "ResNet50V2": ["conv1_conv", "conv2_block2_out", "conv3_block3_out", "conv4_block5_out", "post_relu"],
    "ResNet101V2": ["conv1_conv", "conv2_block2_out", "conv3_block3_out", "conv4_block22_out", "post_relu"],
    "ResNet152V2": ["conv1_conv", "conv2_block2_out", "conv3_block7_out", "conv4_block35_out", "post_relu"],
    "MobileNet": ["conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"],
    "MobileNetV2": [
        "block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu",
    ],
    "MobileNetV3Small": ["activation", "re_lu_2", "activation_1", "activation_11", "activation_17"],
    "MobileNetV3Large": ["re_lu_1", "re_lu_5", "activation_1", "activation_13", "activation_19"],
    "DenseNet121": ["conv1_relu", "pool2_relu", "pool3_relu", "pool4_relu", "relu"],
    "DenseNet169": ["conv1_relu", "pool2_relu", "pool3_relu", "pool4_relu", "relu"],
    "DenseNet201": ["conv1_relu", "pool2_relu", "pool3_relu", "pool4_relu", "relu"],
    "InceptionV3": ["activation_2", "activation_4", "mixed2", "mixed7", "mixed10"],
    "InceptionResNetV2": ["activation_2", "activation_4", "block35_10_ac", "block17_20_ac", "conv_7b_ac"],
    "Xception": ["block1_conv2_act", "add", "add_1", "add_10", "block14_sepconv2_act"],
    "NASNetMobile": [
        "stem_conv1", "reduction_concat_stem_1", "normal_concat_3", "normal_concat_8", "activation_187",
    ],
    "EfficientNetB0": [
        "block2a_expand_activation", "block3a_expand_activation", "block4a_expand_activation",
        "block6a_expand_activation", "top_activation",
    ],
    "EfficientNetV2B0": [
        "block1a_project_activation", "block2b_add", "block4a_expand_activation", "block6a_expand_activation",
        "top_activation",
    ],
    "ConvNeXtTiny": ["add_2", "add_5", "add_14", "add_17"],
}  # fmt: skip


DEEPER = ("VGG19", "ResNet101", "ResNet152", "ResNet101V2", "ResNet152V2", "DenseNet169", "DenseNet201")


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
@pytest.mark.parametrize(
    "name",
    # The others are one of these, deeper and wider, and take many times as long.
    [
        pytest.param(name, marks=() if name in STAGES and name not in DEEPER else pytest.mark.long)
        for name in NETWORKS
        if hasattr(keras.applications, name)
    ],
)
def test_every_application_gets_one_layer_for_each_stage(name):
    side = NETWORKS[name].input_side
    model = application(name).model
    network = Classifier(name, model, input_size=(side, side))
    stages = [layer for layer in summary(network) if layer.preset]

    assert [layer.name for layer in stages] == STAGES.get(name, [layer.name for layer in stages])
    assert [layer.stage for layer in stages] == list(range(1, len(stages) + 1))
    assert len(stages) == (4 if name.startswith("ConvNeXt") else 5)  # ConvNeXt begins with patches of 4 pixels
    # Each stage halves the one before (an unpadded convolution takes a little more).
    heights = [layer.shape[0] for layer in stages]
    assert all(1.7 < a / b < 2.3 for a, b in pairwise(heights))
    stride = 16 if name.startswith("VGG") else 32  # VGG's fifth pool comes after its last convolution
    assert stages[-1].cell[0] == pytest.approx(stride, rel=0.2)
    # The deepest is what the head averages: all channels of the last feature map.
    assert stages[-1].shape[-1] == _head_channels(model)
    assert all(layer.kind in ("conv", "activation", "merge", "pool") for layer in summary(network))


def _head_channels(model):
    """The channels of the feature map that the head starts from, by Keras' own symbolic shapes."""
    for layer in reversed(model.layers):
        is_start = isinstance(layer, (keras.layers.GlobalAveragePooling2D, keras.layers.Flatten))
        if is_start and layer.input.ndim == 4 and layer.input.shape[1] != 1:
            return layer.input.shape[-1]
    raise AssertionError("a classifier averages or flattens a feature map")


def test_all_18_spatial_tensors_of_vgg16_are_listed():
    network = load("VGG16", weights=None)
    layers = select(network, "all")
    assert [layer.kind for layer in layers].count("conv") == 13
    assert [layer.name for layer in layers if layer.kind == "pool"] == [f"block{i}_pool" for i in range(1, 6)]
    assert layers[-2].shape == (14, 14, 512)
    assert layers[-2].cell == (16, 16)
    assert layers[0].parameters == 3 * 3 * 3 * 64 + 64
    assert [layer.stage for layer in layers if layer.kind == "pool"] == [1, 2, 3, 4, 5]


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
