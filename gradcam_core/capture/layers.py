"""Which tensors of a network can be explained, and what is known of each."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import keras
import numpy as np
import tensorflow as tf

from .axes import SHAPES
from .head import HANDS_ON, is_grid
from .moves import follow
from .place import Place, may_be_map, place_of
from .reach import reached
from .recording import Recording
from .stages import Tensor, standing_for_stages

KINDS = ("conv", "activation", "merge", "pool", "attention", "block", "other")
PRESETS = ("stages", "all", "last")


@dataclass(frozen=True)
class Layer:
    """One tensor of a network that can be explained.

    Attributes:
        name: the layer's name; inside nested models a path, ``vgg16/block5_conv3``.
        kind: "conv", "activation", "merge" (add, concatenate, ...), "pool", "attention", or "block" for a custom layer
            that has layers inside, or weights of its own; "other" (a normalisation, a dropout, a padding, ...) is
            explained where it is named, and not listed.
        shape: (height, width, channels) at the network's input size; of tokens, that of their grid.
        parameters: number of the layer's own weights.
        stage: 1 for the highest resolution, growing as a cell spans more pixels; a pool counts to the stage it ends.
        cell: (height, width) of one map cell in pixels of the network's input.
        preset: whether this layer stands for its stage, or for a part of the depth where there are few stages.
        place: where its cells lie in the network's input; None where that cannot be known: its maps are then stretched
            over the whole photo.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    parameters: int
    stage: int
    cell: tuple[float, float]
    preset: bool = False
    place: Place | None = None


def find(recording: Recording) -> tuple[Layer, ...]:
    """The layers of a recorded network that can be explained, in network order; those of kind "other" among them."""
    sources_of = _sources(recording)
    tensors = _tensors(recording, sources_of)
    strides = sorted({t.stride for t in tensors if t.may_stand})
    presets = standing_for_stages(tensors, sources_of[recording.rows.name])
    height, width = recording.batch.shape[1:3]

    def stage(tensor: Tensor) -> int:
        stride = min((tensors[i].stride for i in tensor.inputs if i >= 0), default=Fraction(1))
        stride = stride if tensor.kind == "pool" else tensor.stride
        return 1 + max((i for i, s in enumerate(strides) if s <= stride), default=0)

    return tuple(
        Layer(
            name=name,
            kind=t.kind if name == t.name else "other",
            shape=(t.shape[1], t.shape[2], t.shape[3]),
            parameters=t.parameters,
            stage=stage(t),
            cell=t.place.cell if t.place else (height / t.shape[1], width / t.shape[2]),
            preset=name in presets,
            place=t.place,
        )
        for t in tensors
        if t.kind
        for name in (t.name, *t.aliases)
    )


def _tensors(recording: Recording, sources_of: dict[str, frozenset[int]]) -> list[Tensor]:
    """The output of every call that depends on the network's input, with its shape and its sources."""
    calls, axes_of = recording.calls, follow(recording.batch)
    size = tuple(recording.batch.shape[1:3])
    cells = reached(recording.rows, axes_of)

    def seen(tensor: tf.Tensor) -> tuple[tuple, Place | None]:
        """The shape, (n, height, width, channels) where the place is known; and the place."""
        place = place_of(axes_of[tensor.name], size)
        return (place.shape_of(tensor.shape) if place else tuple(tensor.shape)), place

    shapes = {-1: tuple(recording.batch.shape)} | {i: seen(call.output)[0] for i, call in enumerate(calls)}
    of_head = _of_head(recording, sources_of)
    tensors: list[Tensor] = []
    strides = {size: Fraction(1)}  # by (height, width), of the first that has so many cells
    for call in calls:
        given = [x for x in call.inputs if x is recording.batch or sources_of.get(x.name)]
        inputs = sorted((seen(x)[0] for x in given), key=lambda shape: -_cells(shape))
        shape, place = seen(call.output)
        kind = _kind(call.operation, shape, inputs) if place or may_be_map(axes_of[call.output.name]) else None
        if call.output.name not in cells:
            kind = kind and "other"  # its gradient is 0: it belongs to another output, or to tokens that nobody reads
        # The source with the most cells sets the stride: a 1x1 gate (squeeze and excite) says nothing of it.
        sources = sorted(sources_of[call.output.name], key=lambda j: (-_cells(shapes[j]), j))
        stride = Fraction(1)
        if sources:
            source = shapes[sources[0]]
            before = inputs[0] if inputs else source
            stride = tensors[sources[0]].stride if sources[0] >= 0 else Fraction(1)
            step = _ratio(source, before) * _step(call.operation, kind, before, shape)
            # Sizes are rounded on the way down: a way back up leads to what has its size.
            stride = strides.get(shape[1:3], stride * step) if step < 1 else stride * step
        if kind:
            strides.setdefault(shape[1:3], stride)
        tensors.append(
            Tensor(
                name=call.path,
                kind=kind if sources and call.output.name not in of_head else None,
                shape=shape,
                parameters=call.operation.count_params() if isinstance(call.operation, keras.Layer) else 0,
                inputs=sources,
                is_linear=kind == "conv" and _activation(call.operation) in (None, "linear"),
                stride=stride,
                place=place,
                aliases=call.aliases,
            )
        )
    return tensors


def _of_head(recording: Recording, sources_of: dict[str, frozenset[int]]) -> set[str]:
    """The names of the tensors that hold the scores of pixels: what makes them is explained, and not they."""
    found: set[str] = set()
    tensor, is_last = recording.output, not is_grid(recording.output)
    while not is_last:
        found.add(tensor.name)
        is_last = tensor.op.type in ("Conv2D", "Einsum", "MatMul", "BatchMatMulV2", "Placeholder")
        inputs = [x for x in tensor.op.inputs if sources_of[x.name]]
        is_last = is_last or len(inputs) != 1
        tensor = inputs[0] if inputs else tensor
    return found


def _sources(recording: Recording) -> dict[str, frozenset[int]]:
    """By name of each tensor in the graph: the calls whose outputs it is made of, as places; -1 is the input."""
    places = {call.output.name: i for i, call in enumerate(recording.calls)} | {recording.batch.name: -1}
    found: dict[str, frozenset[int]] = {}
    for operation in recording.operations:
        inputs = () if operation.type in SHAPES else operation.inputs
        made_of = frozenset().union(*({places[x.name]} if x.name in places else found[x.name] for x in inputs))
        found.update((output.name, made_of) for output in operation.outputs)
    # What is made of nothing but constants says nothing of the photo.
    constant = {i for i, call in enumerate(recording.calls) if not found[call.output.name]}
    return {name: made_of - constant for name, made_of in found.items()} if constant else found


def _cells(shape: Sequence[int | None]) -> int:
    return math.prod(side or 1 for side in shape[1:-1])


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
_ATTENTIONS = (
    keras.layers.AdditiveAttention,
    keras.layers.Attention,
    keras.layers.GroupQueryAttention,
    keras.layers.MultiHeadAttention,
)


def _kind(operation: keras.Operation, shape: tuple, inputs: list[tuple]) -> str | None:
    if len(shape) != 4 or None in shape[1:] or shape[1] * shape[2] <= 1:
        return None
    if isinstance(operation, _ATTENTIONS):
        return "attention"
    if sum(len(x) == 4 for x in inputs) >= 2:
        return "merge"
    if isinstance(operation, _CONVOLUTIONS):
        return "conv"
    if isinstance(operation, _POOLS):
        return "pool"
    if isinstance(operation, keras.layers.Activation):
        return "other" if _activation(operation) == "linear" else "activation"
    if isinstance(operation, _ACTIVATIONS) or type(operation).__name__ in _ACTIVATION_OPERATIONS:
        return "activation"
    if isinstance(operation, keras.Layer):
        is_own = not type(operation).__module__.startswith("keras.")
        if any(operation._flatten_layers(include_self=False)) or (is_own and operation.weights):
            return "block"
    return "other"


def _step(operation: keras.Operation, kind: str | None, before: tuple, after: tuple) -> Fraction:
    """How many cells of the input one cell of the output spans, over both sides.

    Read from the strides where there are some: an unpadded 3x3 convolution shrinks 5 cells to 3 without a stride.
    """
    if _only_cuts_or_pads(operation):
        return Fraction(1)
    if kind in ("conv", "pool") and not isinstance(operation, keras.layers.Conv2DTranspose):
        strides = getattr(operation, "strides", 1)
        return Fraction(math.prod(strides) if isinstance(strides, Sequence) else strides**2)
    return _ratio(before, after)


def _ratio(before: tuple, after: tuple) -> Fraction:
    """`_step` by the numbers of cells alone."""
    if len(before) != 4 or len(after) != 4 or not all((*before[1:3], *after[1:3])):
        return Fraction(1)
    height, width = (_nearest(before[i], after[i]) for i in (1, 2))
    return height * width


def _nearest(before: int, after: int) -> Fraction:
    """How many cells of one side become one, or one how many, as a whole number."""
    return Fraction(round(before / after)) if before > after else Fraction(1, round(after / before))


def _only_cuts_or_pads(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.layers.ZeroPadding2D | keras.layers.Cropping2D) or (
        type(operation).__name__ == "Pad"  # keras.ops.pad
    )


def cam_layer(recording: Recording, listed: Iterable[Layer]) -> str | None:
    """The listed layer that is averaged over all its cells and goes into one linear layer, which is the head; or None.

    There CAM is defined: Zhou et al., CVPR 2016, section 2.
    """
    offered = {layer.name: layer for layer in listed}
    layers = {call.output.name: call.path for call in recording.calls if call.path in offered}
    sources_of = _sources(recording)
    tensor, passed, averaged = recording.head.logits, [], []
    while not ("Mean" in passed and tensor.name in layers):
        kind = tensor.op.type
        is_linear = kind in HANDS_ON or (kind in _LINEAR and "Mean" not in passed)
        if not is_linear or any(sources_of[x.name] for x in tensor.op.inputs[1:]):
            return None
        if kind == "Mean":
            averaged = sorted(np.ravel(tf.get_static_value(tensor.op.inputs[1])))
        passed.append(kind)
        tensor = tensor.op.inputs[0]
    name = layers[tensor.name]
    place = offered[name].place
    is_whole = averaged == ([place.tokens[0]] if place and place.tokens else [1, 2])
    return name if is_whole and sum(kind in ("MatMul", "Conv2D") for kind in passed) == 1 else None


_LINEAR = {"AddV2", "BiasAdd", "Conv2D", "MatMul", "Mean"}
