"""Which tensors of a network can be explained, and which one stands for each resolution stage.

The last convolution by type is the wrong tensor in most networks: in a DenseNet it holds 32 of 1024 channels, in
Inception one branch, in a ResNet what comes before the skip is added. So the preset takes, for each resolution
stage, the last tensor after an activation or a merge that the whole network flows through.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras

from . import graph

KINDS = ("conv", "activation", "merge", "pool", "block")
PRESETS = ("stages", "all", "last")


@dataclass(frozen=True)
class Layer:
    """One tensor of a network that can be explained.

    Attributes:
        name: the layer's name; inside nested models a path, ``vgg16/block5_conv3``.
        kind: "conv", "activation", "merge" (add, concatenate, ...), "pool", or "block" for a custom layer
            that has layers inside.
        shape: (height, width, channels) at the network's input size.
        parameters: number of the layer's own weights.
        stage: 1 for the highest resolution, growing with each halving; a pool counts to the stage it ends.
        cell: (height, width) of one map cell in pixels of the network's input.
        preset: whether this layer stands for its stage.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    parameters: int
    stage: int
    cell: tuple[float, float]
    preset: bool = False


class _Tensor(NamedTuple):
    name: str
    kind: str | None  # None: not offered (padding, normalisation, ...)
    shape: tuple[int, ...]
    parameters: int
    inputs: list[int]  # indices of the tensors it is made of; -1 is the network's input
    is_linear: bool  # neither an activation nor a merge: one may still follow
    stride: float  # input pixels a cell, by strides alone


def find(model: keras.Model, input_size: tuple[int, int]) -> tuple[Layer, ...]:
    """The explainable layers of ``model`` in network order, for an input of (height, width) pixels."""
    tensors = _record(model, input_size)
    offered = [t for t in tensors if t.kind]
    strides = sorted({t.stride for t in offered if t.kind != "pool"})
    presets = {_preset(tensors, stride) for stride in strides}

    def stage(tensor: _Tensor) -> int:
        stride = min((tensors[i].stride for i in tensor.inputs if i >= 0), default=1.0)
        stride = stride if tensor.kind == "pool" else tensor.stride
        return 1 + max((i for i, s in enumerate(strides) if s <= stride), default=0)

    return tuple(
        Layer(
            name=t.name,
            kind=t.kind or "",
            shape=(t.shape[1], t.shape[2], t.shape[3]),
            parameters=t.parameters,
            stage=stage(t),
            cell=(input_size[0] / t.shape[1], input_size[1] / t.shape[2]),
            preset=t.name in presets,
        )
        for t in offered
    )


def _record(model: keras.Model, input_size: tuple[int, int]) -> list[_Tensor]:
    """Every operation's output with its shape and its sources, from a forward pass on shapes alone."""
    tensors: list[_Tensor] = []
    index: dict[int, int] = {}  # id of a symbolic tensor -> its place in `tensors`
    alive: list[keras.KerasTensor] = []  # an id is unique only while its tensor lives

    def visit(
        name: str, operation: keras.Operation, inputs: list[keras.KerasTensor], output: keras.KerasTensor
    ) -> None:
        inputs = sorted((x for x in inputs if id(x) in index), key=lambda x: -math.prod(x.shape[1:3]))
        sources = [index[id(x)] for x in inputs]
        shape = tuple(output.shape)
        kind = _kind(operation, shape, [tuple(x.shape) for x in inputs])
        # The input with the most cells sets the stride: a 1x1 gate (squeeze and excite) says nothing of it.
        stride = tensors[sources[0]].stride if sources and sources[0] >= 0 else 1.0
        tensors.append(
            _Tensor(
                name=name,
                kind=kind,
                shape=shape,
                parameters=operation.count_params() if isinstance(operation, keras.Layer) else 0,
                inputs=sources,
                is_linear=kind == "conv" and _activation(operation) in (None, "linear"),
                stride=stride * (_step(operation, kind, inputs[0].shape, shape) if sources else 1.0),
            )
        )
        index[id(output)] = len(tensors) - 1
        alive.append(output)

    batch = keras.KerasTensor((1, *input_size, model.inputs[0].shape[-1]), model.inputs[0].dtype)
    index[id(batch)] = -1
    graph.run_shapes(model, batch, visit)
    return tensors


def _activation(operation: keras.Operation) -> str | None:
    return getattr(getattr(operation, "activation", None), "__name__", None)


_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,  # on a spatial tensor: a 1x1 convolution
)
_ACTIVATIONS = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
)
# The same as plain operations (keras.ops.relu(x) in a functional model).
_ACTIVATION_OPERATIONS = {
    "Relu", "Relu6", "Silu", "Gelu", "Elu", "Selu", "Celu", "LeakyRelu", "Mish", "Softplus", "HardSilu", "Tanh",
}  # fmt: skip
_POOLS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)


def _kind(operation: keras.Operation, shape: tuple, inputs: list[tuple]) -> str | None:
    if len(shape) != 4 or None in shape[1:] or shape[1] * shape[2] <= 1:
        return None
    if sum(len(x) == 4 for x in inputs) >= 2:
        return "merge"
    if isinstance(operation, _CONVOLUTIONS):
        return "conv"
    if isinstance(operation, _POOLS):
        return "pool"
    if isinstance(operation, keras.layers.Activation):
        return None if _activation(operation) == "linear" else "activation"
    if isinstance(operation, _ACTIVATIONS) or type(operation).__name__ in _ACTIVATION_OPERATIONS:
        return "activation"
    if isinstance(operation, keras.Layer) and any(operation._flatten_layers(include_self=False)):
        return "block"
    return None


def _step(operation: keras.Operation, kind: str | None, before: tuple, after: tuple) -> float:
    """How many cells of the input one cell of the output spans.

    Read from the strides where there are some: an unpadded 3x3 convolution shrinks 5 cells to 3 without a stride.
    """
    if len(before) != 4 or len(after) != 4 or not before[1] or not after[1] or _only_cuts_or_pads(operation):
        return 1.0
    if kind in ("conv", "pool") and not isinstance(operation, keras.layers.Conv2DTranspose):
        strides = getattr(operation, "strides", 1)
        return float(max(strides) if isinstance(strides, Sequence) else strides)
    ratio = max(before[1] / after[1], before[2] / after[2])
    if ratio >= 1.5:
        return float(round(ratio))
    return 1 / round(1 / ratio) if ratio <= 1 / 1.5 else 1.0


def _only_cuts_or_pads(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.layers.ZeroPadding2D | keras.layers.Cropping2D) or (
        type(operation).__name__ == "Pad"  # keras.ops.pad
    )


def _preset(tensors: list[_Tensor], stride: float) -> str:
    """The name of the tensor that stands for a stage: the last that the whole network flows through.

    Operations run in topological order, so everything flows through tensor i exactly when no tensor before it is
    used after it. Prefer one after an activation or a merge; where a network keeps two lanes open all through a
    stage (NASNet), take the last merge with the most channels.
    """
    last_use = [0] * len(tensors)
    for i, tensor in enumerate(tensors):
        for source in tensor.inputs:
            if source >= 0:
                last_use[source] = i
    open_until = 0
    all_flows, offered = [], []
    for i, tensor in enumerate(tensors):
        if tensor.kind not in (None, "pool") and tensor.stride == stride:
            offered.append(tensor)
            if open_until <= i:
                all_flows.append(tensor)
        open_until = max(open_until, last_use[i])
    final = [t for t in all_flows if not t.is_linear] or all_flows
    if final:
        return final[-1].name
    merges = [t for t in offered if t.kind == "merge"] or offered
    channels = max(t.shape[-1] for t in merges)
    return [t for t in merges if t.shape[-1] == channels][-1].name


def cam_layer(model: keras.Model, input_size: tuple[int, int]) -> str | None:
    """The layer that is averaged over all its cells and goes into one linear layer, which is the head; or None.

    There CAM is defined: Zhou et al., CVPR 2016, section 2. It is one of those that `find` gives.
    """
    made: dict[int, tuple[str, keras.Operation, list[keras.KerasTensor]]] = {}
    alive: list[keras.KerasTensor] = []  # an id is unique only while its tensor lives

    def visit(
        name: str, operation: keras.Operation, inputs: list[keras.KerasTensor], output: keras.KerasTensor
    ) -> None:
        made[id(output)] = name, operation, inputs
        alive.append(output)

    batch = keras.KerasTensor((1, *input_size, model.inputs[0].shape[-1]), model.inputs[0].dtype)
    graph.run_shapes(model, batch, visit)
    tensor, has_head, is_averaged = alive[-1], False, False
    while id(tensor) in made:
        name, operation, inputs = made[id(tensor)]
        is_cell = math.prod(tensor.shape[1:-1]) == 1
        if isinstance(operation, keras.layers.GlobalAveragePooling2D) and has_head:
            is_averaged = True
        elif is_averaged and not graph.hands_on(operation):
            return name if name in {layer.name for layer in find(model, input_size)} else None
        elif isinstance(operation, keras.layers.Dense | keras.layers.Conv2D) and is_cell and not has_head:
            if _activation(operation) not in (None, "linear") and graph.probability(operation) is None:
                return None
            has_head = True
        elif not graph.hands_on(operation) and (has_head or graph.probability(operation) is None):
            return None
        tensor = inputs[0]
    return None
