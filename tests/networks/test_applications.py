"""Every network of keras.applications as Keras itself builds it, once for all of these tests, without any values."""

import importlib
import inspect
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import keras
import pytest
from keras.src.utils import file_utils

from gradcam_core import select, summary
from gradcam_core.networks.classifier import Classifier
from gradcam_core.networks.preprocessing import preprocessing
from gradcam_core.networks.zoo import DEFAULT, NETWORKS

pytestmark = pytest.mark.filterwarnings("ignore:`input_shape` is undefined")

APPLICATIONS = [name for name in NETWORKS if hasattr(keras.applications, name)]

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


@pytest.fixture(scope="module", autouse=True)
def _no_values():
    """Where a variable has none, Keras puts operations into each graph that would draw it: a third of the time."""

    def zeros(initializer, shape, dtype):
        return keras.ops.zeros(shape, dtype)

    with patch.object(keras.initializers.VarianceScaling, "__call__", zeros):
        yield


@dataclass(frozen=True)
class Application:
    """A network with shapes but without values, and the arguments of Keras' own request for its weights."""

    model: keras.Model
    asked: dict[str, Any]


class _Built(Exception):  # noqa: N818
    """Carries the network out of Keras' builder when all that is left is to read the weights."""


@cache
def application(name: str) -> Application:
    """The network that ``keras.applications.NAME(weights="imagenet")`` builds before it reads the weights.

    Variables without values take a third of the time, and no gigabytes; a new thread gives the layers the names
    that they have in a new process.
    """
    asked: dict[str, Any] = {}

    def get_file(fname, origin, **arguments):
        asked.update(arguments, fname=fname, origin=origin)
        return "not fetched.h5"

    def load_weights(model, path):
        raise _Built(model)

    def build() -> keras.Model:
        try:
            with keras.StatelessScope(initialize_variables=False):
                getattr(keras.applications, name)(weights="imagenet", classifier_activation=None)
        except _Built as built:
            return built.args[0]
        raise AssertionError("Keras reads weights at the end")

    with (
        patch.object(file_utils, "get_file", get_file),
        patch.object(keras.Model, "load_weights", load_weights),
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        return Application(thread.submit(build).result(), asked)


@cache
def classifier(name: str) -> Classifier:
    side = NETWORKS[name].input_side
    return Classifier(name, application(name).model, input_size=(side, side))


def test_every_classifier_of_keras_is_in_the_list():
    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    assert set(APPLICATIONS) == {name for name, _ in functions} == set(NETWORKS) - {DEFAULT}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_list_agrees_with_keras(name, monkeypatch):
    """Input side, parameters, and the file, address and digest that Keras itself would fetch."""
    monkeypatch.delenv("GRADCAM_WEIGHTS_URL", raising=False)
    entry = NETWORKS[name]
    keras_own = application(name)
    assert keras_own.asked == {
        "fname": entry.weights.name,
        "origin": entry.weights.url,
        "cache_subdir": "models",
    } | ({"file_hash": entry.weights.digest} if entry.weights.digest else {})
    assert keras_own.model.count_params() == entry.parameters
    assert keras_own.model.input_shape[1] in (entry.input_side, None)  # MobileNetV3 takes any size
    assert keras_own.model.output_shape == (None, 1000)
    prepare, own = preprocessing(name), importlib.import_module(entry.module).preprocess_input
    assert getattr(prepare, "func", prepare) is own


@pytest.mark.parametrize(
    "name",
    # The others are one of these, deeper and wider, and take many times as long.
    [
        pytest.param(name, marks=() if name in STAGES and name not in DEEPER else pytest.mark.long)
        for name in APPLICATIONS
    ],
)
def test_every_application_gets_one_layer_for_each_stage(name):
    network = classifier(name)
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
    assert stages[-1].shape[-1] == _head_channels(network.model)
    assert all(layer.kind in ("conv", "activation", "merge", "pool") for layer in summary(network))


def _head_channels(model):
    """The channels of the feature map that the head starts from, by Keras' own symbolic shapes."""
    for layer in reversed(model.layers):
        is_start = isinstance(layer, (keras.layers.GlobalAveragePooling2D, keras.layers.Flatten))
        if is_start and layer.input.ndim == 4 and layer.input.shape[1] != 1:
            return layer.input.shape[-1]
    raise AssertionError("a classifier averages or flattens a feature map")


def test_all_18_spatial_tensors_of_vgg16_are_listed():
    network = classifier("VGG16")
    layers = select(network, "all")
    assert [layer.kind for layer in layers].count("conv") == 13
    assert [layer.name for layer in layers if layer.kind == "pool"] == [f"block{i}_pool" for i in range(1, 6)]
    assert layers[-2].shape == (14, 14, 512)
    assert layers[-2].cell == (16, 16)
    assert layers[0].parameters == 3 * 3 * 3 * 64 + 64
    assert [layer.stage for layer in layers if layer.kind == "pool"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("ResNet50", "conv5_block3_out"),
        ("MobileNetV2", "out_relu"),
        ("MobileNet", "conv_pw_13_relu"),  # its head is a 1x1 convolution
        ("DenseNet121", "relu"),
        ("VGG16", None),
    ],
)
def test_cam_knows_the_heads_of_known_networks(name, layer):
    assert classifier(name).cam_layer == layer
