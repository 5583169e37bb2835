"""How the operations of a traced graph move what they are given: each axis of each tensor, and where it lies.

Windows that slide (convolutions, pools) keep the extent, as it is common for maps. Padding counts as part of it until a
window without padding of its own takes it away again. What an unknown operation gives lies nobody knows where.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from .axes import LOST, SHAPES, Axes, Axis, Span, count_of, met, plain
from .cutting import (
    cut,
    cut_by_size,
    expanded,
    gathered,
    joined,
    mirrored,
    padded,
    rolled,
    split,
    squeezed,
    unpacked,
)  # fmt: skip
from .probing import lost, pushed
from .reshaping import reshaped
from .sizes import ANY, shape_numbers


def follow(batch: tf.Tensor) -> dict[str, Axes]:
    """The axes of every tensor in the graph of a network's input, float32 (n, h, w, c), by the tensors' names."""
    height, width = batch.shape[1:3]
    found: dict[str, Axes] = {batch.name: (None, Span(0, height, 0, height), Span(1, width, 0, width), None)}
    numbers: dict[str, np.ndarray] = {}
    for operation in batch.graph.get_operations():
        if operation is batch.op:
            continue
        inputs = [found[x.name] for x in operation.inputs]
        sizes = _sizes(inputs[0], operation.inputs[0]) if operation.type in ("Reshape", "Shape") else ()
        shape_numbers(operation, sizes, numbers)
        for output in operation.outputs:
            rank = output.shape.rank
            if rank is None or not any(any(axes) for axes in inputs) or operation.type in SHAPES:
                found[output.name] = (None,) * (rank or 0)
                continue
            if operation.type == "Reshape":
                after = numbers.get(operation.inputs[1].name, output.shape)
                axes = reshaped(inputs[0], sizes, after, list(output.shape))
            else:
                axes = _RULES.get(operation.type, _alike)(operation, inputs, output)
            # A span is of as many cells as its axis has.
            found[output.name] = tuple(
                LOST if axis and axis != LOST and count not in (None, axis.count) else axis
                for axis, count in zip(axes, output.shape, strict=True)
            )
    return found


def _sizes(axes: Axes, tensor: tf.Tensor) -> list[int | None]:
    if tensor.shape.rank is None:
        return [None]
    sizes = [count_of(axis, size) for axis, size in zip(axes, tensor.shape, strict=True)]
    return [ANY, *sizes[1:]] if sizes and sizes[0] is None else sizes


def _alike(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """An operation cell by cell: each output is made of what lies at the same place, or is the same everywhere."""
    rank, found = output.shape.rank, []
    for axes, tensor in zip(inputs, operation.inputs, strict=True):
        if not any(axes):
            continue
        more = rank - len(axes)
        shape = [1] * more + [count_of(axis, size) for axis, size in zip(axes, tensor.shape, strict=True)]
        axes = (None,) * more + axes
        if len(shape) != rank or any(b and a not in (1, b, None) for a, b in zip(shape, output.shape, strict=True)):
            return pushed(operation, inputs, output)
        found.append([None if a == 1 != b else span for a, b, span in zip(shape, output.shape, axes, strict=True)])
    return tuple(met(list(spans)) for spans in zip(*found, strict=True))


def _window(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """A convolution, a pool, or the patches of an image."""
    is_patches = operation.type == "ExtractImagePatches"
    order = b"NHWC" if is_patches else operation.get_attr("data_format")
    where = {b"NHWC": (1, 2), b"NCHW": (2, 3)}.get(order)
    if where is None:
        return pushed(operation, inputs, output)
    strides, dilations, padding = operation.get_attr("strides"), [1] * 4, operation.get_attr("padding")
    if operation.type in _KERNELS:
        sides, dilations = operation.inputs[1].shape[:2], operation.get_attr("dilations")
    else:
        sides = [operation.get_attr("ksizes" if is_patches else "ksize")[axis] for axis in where]
        dilations = operation.get_attr("rates") if is_patches else dilations
    spans: list[Axis] = [inputs[0][0], None, None, None]
    for axis, kernel in zip(where, sides, strict=True):
        span, count = plain(inputs[0][axis]), output.shape[axis]
        if span is None or span.is_lost or count is None or kernel is None:
            spans[axis] = span and LOST
            continue
        if padding == b"EXPLICIT":
            before, after = operation.get_attr("explicit_paddings")[2 * axis : 2 * axis + 2]
            span = span.padded(before, after)
        if padding != b"SAME":
            reach = (kernel - 1) * dilations[axis] + 1
            span = _without(span, max(reach - strides[axis], 0), (span.count - reach) % strides[axis])
        spans[axis] = span.resized(count)
    return tuple(spans)


_KERNELS = {"Conv2D", "DepthwiseConv2dNative"}


def _without(span: Span, reach: float, rest: float) -> Span:
    """After a window without padding: padding goes first, from both ends; what the window saw stays."""
    before = min(span.padding[0], reach / 2)
    after = min(span.padding[1], reach + rest - before)
    before = min(span.padding[0], max(before, reach + rest - after))
    count = span.count - before - after
    return Span(
        span.side,
        count,
        span.start + before * span.cell,
        span.end - after * span.cell,
        (span.padding[0] - before, span.padding[1] - after),
    )


def _transposed(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    order = tf.get_static_value(operation.inputs[1])
    return pushed(operation, inputs, output) if order is None else tuple(inputs[0][axis] for axis in order)


def _resized(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """Another number of cells for the same extent."""
    spans = [plain(axis) for axis in inputs[_IMAGES.get(operation.type, 0)]]
    return tuple(
        span and (LOST if count is None else span.resized(count))
        for span, count in zip(spans, output.shape, strict=True)
    )


_IMAGES = {"Conv2DBackpropInput": 2}  # which input is the image; 0 for the others


def _reduced(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    along = tf.get_static_value(operation.inputs[1])
    if along is None:
        return pushed(operation, inputs, output)
    along = {int(axis) % len(inputs[0]) for axis in np.ravel(along)}
    if operation.get_attr("keep_dims"):
        return tuple(None if axis in along else span for axis, span in enumerate(inputs[0]))
    return tuple(span for axis, span in enumerate(inputs[0]) if axis not in along)


def _product_of_matrices(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    names: tuple[str, str] = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    is_a, is_b = (operation.get_attr(name) for name in names)
    a, b = (axes or (None,) * output.shape.rank for axes in inputs)
    width = output.shape.rank - 2
    lead: list[Axis] = [
        met([axes[k - width + len(axes) - 2] if k - width + len(axes) - 2 >= 0 else None for axes in (a, b)])
        for k in range(width)
    ]
    return (*lead, a[-1] if is_a else a[-2], b[-2] if is_b else b[-1])


def _einsum(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    left, _, right = operation.get_attr("equation").decode().partition("->")
    found: dict[str, list[Axis]] = {}
    for letters, axes in zip(left.split(","), inputs, strict=True):
        if "." in letters or len(letters) != len(axes):
            return pushed(operation, inputs, output)
        for letter, span in zip(letters, axes, strict=True):
            found.setdefault(letter, []).append(span)
    if "." in right:
        return pushed(operation, inputs, output)
    return tuple(met(found[letter]) for letter in right)


_RULES: dict[str, Any] = {
    **dict.fromkeys(("AvgPool", "Conv2D", "DepthwiseConv2dNative", "ExtractImagePatches", "MaxPool"), _window),
    **dict.fromkeys(("MirrorPad", "Pad", "PadV2"), padded),
    **dict.fromkeys(("Max", "Mean", "Min", "Prod", "Sum", "EuclideanNorm", "All", "Any"), _reduced),
    **dict.fromkeys(("BatchMatMulV2", "MatMul"), _product_of_matrices),
    **dict.fromkeys(("Split", "SplitV"), split),
    **dict.fromkeys(("ConcatV2", "Pack"), joined),
    **dict.fromkeys(
        (
            "BatchToSpaceND", "Conv2DBackpropInput", "DepthToSpace", "ResizeArea", "ResizeBicubic", "ResizeBilinear",
            "ResizeNearestNeighbor", "ScaleAndTranslate", "SpaceToBatchND", "SpaceToDepth",
        ),
        _resized,
    ),
    **dict.fromkeys(
        (
            "CropAndResize", "GatherNd", "If", "ImageProjectiveTransformV2", "ImageProjectiveTransformV3",
            "PartitionedCall", "StatefulPartitionedCall", "StatelessIf",
        ),
        pushed,
    ),
    **dict.fromkeys(("ScatterNd", "StatelessWhile", "While"), lost),
    "Einsum": _einsum,
    "ExpandDims": expanded,
    "GatherV2": gathered,
    "ReverseV2": mirrored,
    "Roll": rolled,
    "Slice": cut_by_size,
    "Squeeze": squeezed,
    "StridedSlice": cut,
    "Transpose": _transposed,
    "Unpack": unpacked,
}  # fmt: skip
