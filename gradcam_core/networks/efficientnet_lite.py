"""EfficientNet-Lite0 in Keras' layers, and how it takes weights that were stored for PyTorch.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, table
1 (B0), with the changes of the Lite variants (github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite):
no squeeze-and-excitation, ReLU6 for swish, stem and head of one width in all of them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np

SIDE = 224
CLASSES = 1000


class Stage(NamedTuple):
    """Inverted residual blocks of one width; the first one has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM = 32
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
HEAD = 1280


def build() -> keras.Model:
    """The network with random weights: (n, 224, 224, 3) as `preprocess_input` gives it -> (n, 1000) logits.

    Layers are named as in Keras' own EfficientNets: ``block2a_expand_conv``, ``block2a_dwconv``, ``block2b_add``.
    """
    inputs = x = keras.Input((SIDE, SIDE, 3), name="input")
    x = keras.layers.Conv2D(STEM, 3, 2, padding="same", use_bias=False, name="stem_conv")(x)
    x = _relu6(_normalised(x, "stem"), "stem")
    for number, stage in enumerate(STAGES, 1):
        for repeat in range(stage.repeats):
            name = f"block{number}{chr(ord('a') + repeat)}"
            x = _block(x, name, stage, stage.stride if repeat == 0 else 1)
    x = _relu6(_normalised(_pointwise(x, HEAD, "head_conv"), "head"), "head")
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    outputs = keras.layers.Dense(CLASSES, name="predictions")(x)
    return keras.Model(inputs, outputs, name="EfficientNetLite0")


def _block(x: keras.KerasTensor, name: str, stage: Stage, stride: int) -> keras.KerasTensor:
    """An inverted residual block: expand, filter each channel by itself, project; the input is added where it fits."""
    inputs, channels = x, x.shape[-1]
    if stage.expansion != 1:
        x = _pointwise(x, channels * stage.expansion, f"{name}_expand_conv")
        x = _relu6(_normalised(x, f"{name}_expand"), f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_dwconv")(x)
    x = _relu6(_normalised(x, name), name)
    x = _normalised(_pointwise(x, stage.channels, f"{name}_project_conv"), f"{name}_project")
    is_same_shape = stride == 1 and channels == stage.channels
    return keras.layers.Add(name=f"{name}_add")([x, inputs]) if is_same_shape else x


def _pointwise(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    return keras.layers.Conv2D(channels, 1, use_bias=False, name=name)(x)


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)


def _relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(6, name=f"{name}_relu")(x)


def preprocess_input(batch: np.ndarray) -> np.ndarray:
    """What the network takes, in -0.99 to 1, from RGB in 0 to 255.

    Source: MEAN_RGB and STDDEV_RGB of Google's efficientnet_lite_builder.py.

    >>> preprocess_input(np.float32([0, 127, 255]))
    array([-0.9921875,  0.       ,  1.       ], dtype=float32)
    """
    return (batch - 127) / 128


def assign(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Give the network that `build` made its weights: tensors by the names that PyTorch's implementations use."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_weights(layer, tensors))


def _weights(layer: keras.Layer, tensors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The layer's weights in Keras' order and layout, which is (h, w, in, out) where PyTorch has (out, in, h, w)."""
    stored = stored_name(layer.name)
    if isinstance(layer, keras.layers.BatchNormalization):
        return [tensors[f"{stored}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    weight = tensors[f"{stored}.weight"]
    if isinstance(layer, keras.layers.Dense):
        return [weight.T, tensors[f"{stored}.bias"]]
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)  # (h, w, channels, 1), stored (channels, 1, h, w)
    return [weight.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))]


_ENDS = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1"}
_IN_BLOCK = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


def stored_name(layer: str) -> str:
    """What the file calls a layer: it counts the blocks from 0 on.

    >>> stored_name("block2b_dwconv"), stored_name("predictions")
    ('_blocks.2._depthwise_conv', '_fc')
    """
    if in_block := re.fullmatch(r"block(\d)([a-z])_(\w+)", layer):
        stage, repeat, part = in_block.groups()
        before = sum(stage.repeats for stage in STAGES[: int(stage) - 1])
        return f"_blocks.{before + ord(repeat) - ord('a')}.{_IN_BLOCK[part]}"
    return _ENDS.get(layer, "_fc")
