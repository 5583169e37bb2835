"""How the operations of a traced graph move what they are given: each axis of each tensor, and where it lies.

Windows that slide (convolutions, pools) keep the extent, as it is common for maps. Padding counts as part of it until a
window without padding of its own takes it away again. What an unknown operation gives lies nobody knows where.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from .place import LOST, Axes, Span
from .probing import lost, pushed


def follow(batch: tf.Tensor) -> dict[str, Axes]:
    """The axes of every tensor in the graph of a network's input, float32 (n, h, w, c), by the tensors' names."""
    height, width = batch.shape[1:3]
    found: dict[str, Axes] = {batch.name: (None, Span(0, height, 0, height), Span(1, width, 0, width), None)}
    for operation in batch.graph.get_operations():
        if operation is batch.op:
            continue
        inputs = [found[x.name] for x in operation.inputs]
        for output in operation.outputs:
            rank = output.shape.rank
            if rank is None or not any(any(axes) for axes in inputs) or operation.type in _SHAPES:
                found[output.name] = (None,) * (rank or 0)
                continue
            axes = _RULES.get(operation.type, _alike)(operation, inputs, output)
            # A span is of as many cells as its axis has.
            found[output.name] = tuple(
                LOST if span and span.side >= 0 and count not in (None, span.count) else span
                for span, count in zip(axes, output.shape, strict=True)
            )
    return found


_SHAPES = {"Rank", "Shape", "ShapeN", "Size"}


def _met(spans: list[Span | None]) -> Span | None:
    """The span of what is made of several: the first, where they lie at the same place."""
    known = [span for span in spans if span]
    if not known:
        return None
    return known[0] if all(known[0].is_near(span) for span in known) else LOST


def _alike(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """An operation cell by cell: each output is made of what lies at the same place, or is the same everywhere."""
    rank, met = output.shape.rank, []
    for axes, tensor in zip(inputs, operation.inputs, strict=True):
        if not any(axes):
            continue
        shape = tensor.shape.as_list()
        shape, axes = [1] * (rank - len(shape)) + shape, (None,) * (rank - len(axes)) + axes
        if len(shape) != rank or any(a not in (1, b) for a, b in zip(shape, output.shape, strict=True)):
            return pushed(operation, inputs, output)
        met.append([None if a == 1 != b else span for a, b, span in zip(shape, output.shape, axes, strict=True)])
    return tuple(_met(list(spans)) for spans in zip(*met, strict=True))


def _window(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """A convolution or a pool."""
    where = {b"NHWC": (1, 2), b"NCHW": (2, 3)}.get(operation.get_attr("data_format"))
    if where is None:
        return pushed(operation, inputs, output)
    strides, padding = operation.get_attr("strides"), operation.get_attr("padding")
    is_kernel = operation.type in _KERNELS
    sides = operation.inputs[1].shape[:2] if is_kernel else [operation.get_attr("ksize")[axis] for axis in where]
    dilations = operation.get_attr("dilations") if is_kernel else [1] * 4
    spans: list[Span | None] = [None, None, None, None]
    for axis, kernel in zip(where, sides, strict=True):
        span, count = inputs[0][axis], output.shape[axis]
        if span is None or span.side < 0 or count is None or kernel is None:
            spans[axis] = span and LOST
            continue
        if padding == b"EXPLICIT":
            before, after = operation.get_attr("explicit_paddings")[2 * axis : 2 * axis + 2]
            span = _padded(span, before, after)
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


def _padded(span: Span, before: float, after: float) -> Span:
    padding = (span.padding[0] + before, span.padding[1] + after)
    cell = span.cell
    return Span(span.side, span.count + before + after, span.start - before * cell, span.end + after * cell, padding)


def _pad(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    paddings = tf.get_static_value(operation.inputs[1])
    if paddings is None:
        return pushed(operation, inputs, output)
    return tuple(
        _padded(span, int(before), int(after)) if span and span.side >= 0 else span
        for span, (before, after) in zip(inputs[0], paddings, strict=True)
    )


def _strided_slice(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    begin, _, strides = (tf.get_static_value(x, partial=True) for x in operation.inputs[1:])
    if begin is None or strides is None:
        return pushed(operation, inputs, output)
    masks = {name: operation.get_attr(f"{name}_mask") for name in ("begin", "ellipsis", "new_axis", "shrink_axis")}

    def is_set(name: str, i: int) -> bool:
        return bool(masks[name] >> i & 1)

    found: list[Span | None] = []
    axes = list(inputs[0])
    for i in range(len(begin)):
        if is_set("ellipsis", i):
            later = sum(not is_set("new_axis", j) for j in range(i + 1, len(begin)))
            while len(axes) > later:
                found.append(axes.pop(0))
        elif is_set("new_axis", i):
            found.append(None)
        elif is_set("shrink_axis", i):
            axes.pop(0)
        else:
            span, is_whole = axes.pop(0), is_set("begin", i)
            if span and (strides[i] is None or (begin[i] is None and not is_whole)):
                return pushed(operation, inputs, output)
            found.append(_sliced(span, None if is_whole else begin[i], strides[i], output, len(found)))
    return tuple(found + axes)


def _sliced(span: Span | None, begin: int | None, step: int, output: tf.Tensor, axis: int) -> Span | None:
    count = output.shape[axis]
    if span is None or span.side < 0 or count is None:
        return span and LOST
    last = span.count - 1
    first = (0 if step > 0 else last) if begin is None else int(begin) + (span.count if begin < 0 else 0)
    return span.cut(min(max(first, 0), last), count, int(step))


def _slice(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    begin = tf.get_static_value(operation.inputs[1], partial=True)
    if begin is None:
        return pushed(operation, inputs, output)
    return tuple(
        LOST if span and first is None else _sliced(span, first or 0, 1, output, axis)
        for axis, (span, first) in enumerate(zip(inputs[0], begin, strict=True))
    )


def _split(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    is_sized = operation.type == "SplitV"
    axis = tf.get_static_value(operation.inputs[2 if is_sized else 0])
    axes = list(inputs[0 if is_sized else 1])
    if axis is None:
        return pushed(operation, inputs, output)
    before = [x.shape[int(axis)] for x in operation.outputs[: output.value_index]]
    span = axes[int(axis)]
    axes[int(axis)] = LOST if span and None in before else _sliced(span, sum(before), 1, output, int(axis))
    return tuple(axes)


def _unpacked(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    axis = operation.get_attr("axis") % len(inputs[0])
    return inputs[0][:axis] + inputs[0][axis + 1 :]


def _joined(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    if operation.type == "Pack":
        axis = operation.get_attr("axis") % output.shape.rank
        inputs = [(*axes[:axis], None, *axes[axis:]) for axes in inputs]
        return tuple(_met(list(spans)) for spans in zip(*inputs, strict=True))
    axis = tf.get_static_value(operation.inputs[-1])
    if axis is None:
        return pushed(operation, inputs, output)
    axis, inputs = int(axis) % output.shape.rank, inputs[:-1]
    found = [_met(list(spans)) for spans in zip(*inputs, strict=True)]
    parts = [axes[axis] for axes in inputs]
    if any(parts):
        found[axis] = _in_a_row(parts, [x.shape[axis] for x in operation.inputs[:-1]])
    return tuple(found)


def _in_a_row(parts: list[Span | None], counts: list[int | None]) -> Span:
    """Spans one after another, where each begins where the one before ends; what has no place is padding."""
    joined, before = None, 0
    for span, count in zip(parts, counts, strict=True):
        if count is None or (span and span.side < 0):
            return LOST
        if span is None:
            joined, before = (_padded(joined, 0, count), before) if joined else (None, before + count)
        elif joined is None:
            joined = _padded(span, before, 0)
        elif joined.side == span.side and abs(joined.end - span.start) < 1e-3 and abs(joined.cell - span.cell) < 1e-3:
            padding = (joined.padding[0], span.padding[1])
            joined = Span(joined.side, joined.count + span.count, joined.start, span.end, padding)
        else:
            return LOST
    return joined or LOST


def _reversed(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    along = tf.get_static_value(operation.inputs[1])
    if along is None:
        return pushed(operation, inputs, output)
    along = {int(axis) % len(inputs[0]) for axis in along}
    return tuple(
        span.cut(span.count - 1, int(span.count), -1) if span and span.side >= 0 and axis in along else span
        for axis, span in enumerate(inputs[0])
    )


def _transposed(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    order = tf.get_static_value(operation.inputs[1])
    return pushed(operation, inputs, output) if order is None else tuple(inputs[0][axis] for axis in order)


def _resized(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """Another number of cells for the same extent."""
    return tuple(
        span and (LOST if span.side < 0 or count is None else span.resized(count))
        for span, count in zip(inputs[_IMAGES.get(operation.type, 0)], output.shape, strict=True)
    )


_IMAGES = {"Conv2DBackpropInput": 2}  # which input is the image; 0 for the others


def _reshaped(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """Axes that stay are found by their sizes; one that is split keeps its place in the first part."""
    before, after = ([_ANY if n is None else n for n in x.shape] for x in (operation.inputs[0], output))
    found: list[Span | None] = [None] * len(after)
    i = j = 0
    while i < len(before) and j < len(after):
        first_i, first_j, a, b = i, j, before[i], after[j]
        i, j = i + 1, j + 1
        while a != b or (i < len(before) and before[i] == 1) or (j < len(after) and after[j] == 1):
            if i < len(before) and (a < b or before[i] == 1):
                a *= before[i]
                i += 1
            elif j < len(after) and (b < a or after[j] == 1):
                b *= after[j]
                j += 1
            else:
                return _from_the_end(inputs[0], before, after)
        old = [k for k in range(first_i, i) if before[k] != 1]
        new = [k for k in range(first_j, j) if after[k] != 1]
        if any(inputs[0][k] for k in old):
            span = inputs[0][old[0]]
            is_one = not any(inputs[0][k] for k in old[1:]) and 1 in (len(old), len(new))
            found[new[0]] = span.resized(after[new[0]]) if span and span.side >= 0 and is_one else LOST
    return tuple(found)


def _from_the_end(axes: Axes, before: list[int], after: list[int]) -> Axes:
    """The last axes, which keep their sizes, where those before them are joined with the photos or parted from them."""
    kept = 0
    while kept < min(len(before), len(after)) and before[-1 - kept] == after[-1 - kept] != _ANY:
        kept += 1
    first = LOST if any(axes[: len(axes) - kept]) else None
    return (*(first,) * (len(after) - kept), *axes[len(axes) - kept :])


_ANY = 2**31 - 1  # stands for the number of photos: a prime, which is no product of other sizes


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
    lead = [
        _met([axes[k - width + len(axes) - 2] if k - width + len(axes) - 2 >= 0 else None for axes in (a, b)])
        for k in range(width)
    ]
    return (*lead, a[-1] if is_a else a[-2], b[-2] if is_b else b[-1])


def _einsum(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    left, _, right = operation.get_attr("equation").decode().partition("->")
    found: dict[str, list[Span | None]] = {}
    for letters, axes in zip(left.split(","), inputs, strict=True):
        if "." in letters or len(letters) != len(axes):
            return pushed(operation, inputs, output)
        for letter, span in zip(letters, axes, strict=True):
            found.setdefault(letter, []).append(span)
    if "." in right:
        return pushed(operation, inputs, output)
    return tuple(_met(found[letter]) for letter in right)


_RULES: dict[str, Any] = {
    **dict.fromkeys(("AvgPool", "Conv2D", "DepthwiseConv2dNative", "MaxPool"), _window),
    **dict.fromkeys(("MirrorPad", "Pad", "PadV2"), _pad),
    **dict.fromkeys(("Max", "Mean", "Min", "Prod", "Sum", "EuclideanNorm", "All", "Any"), _reduced),
    **dict.fromkeys(("BatchMatMulV2", "MatMul"), _product_of_matrices),
    **dict.fromkeys(("ExpandDims", "Reshape", "Squeeze"), _reshaped),
    **dict.fromkeys(("Split", "SplitV"), _split),
    **dict.fromkeys(("ConcatV2", "Pack"), _joined),
    **dict.fromkeys(
        (
            "BatchToSpaceND", "Conv2DBackpropInput", "DepthToSpace", "ResizeArea", "ResizeBicubic", "ResizeBilinear",
            "ResizeNearestNeighbor", "ScaleAndTranslate", "SpaceToBatchND", "SpaceToDepth",
        ),
        _resized,
    ),
    **dict.fromkeys(
        (
            "CropAndResize", "GatherNd", "GatherV2", "If", "ImageProjectiveTransformV2", "ImageProjectiveTransformV3",
            "PartitionedCall", "StatefulPartitionedCall", "StatelessIf",
        ),
        pushed,
    ),
    **dict.fromkeys(("Roll", "ScatterNd", "StatelessWhile", "While"), lost),
    "Einsum": _einsum,
    "ReverseV2": _reversed,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "Transpose": _transposed,
    "Unpack": _unpacked,
}  # fmt: skip
