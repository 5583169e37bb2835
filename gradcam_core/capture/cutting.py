"""How operations cut axes, mirror them, turn them round, and put them one after another."""

import numpy as np
import tensorflow as tf

from .axes import LOST, Axes, Axis, Grid, Span, count_of, met
from .probing import lost, pushed


def padded(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    paddings = tf.get_static_value(operation.inputs[1])
    if paddings is None:
        return pushed(operation, inputs, output)
    return tuple(
        axis.padded(int(before), int(after)) if axis and (before or after) else axis
        for axis, (before, after) in zip(inputs[0], paddings, strict=True)
    )


def cut(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    begin, _, strides = (tf.get_static_value(x, partial=True) for x in operation.inputs[1:])
    if begin is None or strides is None:
        return pushed(operation, inputs, output)
    masks = {
        name: operation.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }

    def is_set(name: str, i: int) -> bool:
        return bool(masks[name] >> i & 1)

    found: list[Axis] = []
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
            axis, is_whole = axes.pop(0), is_set("begin", i)
            if axis and (strides[i] is None or (begin[i] is None and not is_whole)):
                return pushed(operation, inputs, output)
            if is_whole and is_set("end", i) and strides[i] == 1:
                found.append(axis)
            else:
                found.append(_sliced(axis, None if is_whole else begin[i], strides[i], output.shape[len(found)]))
    return tuple(found + axes)


def _sliced(axis: Axis, begin: int | None, step: int, count: int | None) -> Axis:
    if axis is None or axis == LOST or count is None:
        return axis and LOST
    last = int(axis.count) - 1
    first = (0 if step > 0 else last) if begin is None else int(begin) + (last + 1 if begin < 0 else 0)
    return axis.cut(min(max(first, 0), last), count, int(step))


def cut_by_size(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    begin = tf.get_static_value(operation.inputs[1], partial=True)
    if begin is None:
        return pushed(operation, inputs, output)
    return tuple(
        axis
        if not first and count_of(axis, before) == count
        else LOST
        if axis and first is None
        else _sliced(axis, first or 0, 1, count)
        for axis, first, before, count in zip(inputs[0], begin, operation.inputs[0].shape, output.shape, strict=True)
    )


def split(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    is_sized = operation.type == "SplitV"
    axis = tf.get_static_value(operation.inputs[2 if is_sized else 0])
    axes = list(inputs[0 if is_sized else 1])
    if axis is None:
        return pushed(operation, inputs, output)
    before = [x.shape[int(axis)] for x in operation.outputs[: output.value_index]]
    old = axes[int(axis)]
    axes[int(axis)] = LOST if old and None in before else _sliced(old, sum(before), 1, output.shape[int(axis)])
    return tuple(axes)


def unpacked(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    axis = operation.get_attr("axis") % len(inputs[0])
    return inputs[0][:axis] + inputs[0][axis + 1 :]


def joined(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    if operation.type == "Pack":
        axis = operation.get_attr("axis") % output.shape.rank
        inputs = [(*axes[:axis], None, *axes[axis:]) for axes in inputs]
        return tuple(met(list(spans)) for spans in zip(*inputs, strict=True))
    axis = tf.get_static_value(operation.inputs[-1])
    if axis is None:
        return pushed(operation, inputs, output)
    axis, inputs = int(axis) % output.shape.rank, inputs[:-1]
    found = [met(list(spans)) for spans in zip(*inputs, strict=True)]
    parts = [axes[axis] for axes in inputs]
    if any(parts):
        sizes = [x.shape[axis] for x in operation.inputs[:-1]]
        found[axis] = _in_a_row(parts, [count_of(part, size) for part, size in zip(parts, sizes, strict=True)])
    return tuple(found)


def _in_a_row(parts: list[Axis], counts: list[int | None]) -> Axis:
    """Axes one after another, where each begins where the one before ends; what has no place is padding."""
    joined: Axis = None
    before = 0
    for axis, count in zip(parts, counts, strict=True):
        span = axis if isinstance(axis, Grid) and axis.spans else axis and axis.plain
        if count is None or span == LOST:
            return LOST
        if span is None:
            joined, before = (joined.padded(0, count), before) if joined else (None, before + count)
        elif joined is None:
            joined = span.padded(before, 0)
        elif isinstance(joined, Grid) or isinstance(span, Grid):
            return LOST
        elif joined.side == span.side and abs(joined.end - span.start) < 1e-3 and abs(joined.cell - span.cell) < 1e-3:
            padding = (joined.padding[0], span.padding[1])
            joined = Span(joined.side, joined.count + span.count, joined.start, span.end, padding)
        else:
            return LOST
    return joined


def mirrored(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    along = tf.get_static_value(operation.inputs[1])
    if along is None:
        return pushed(operation, inputs, output)
    along = {int(axis) % len(inputs[0]) for axis in along}
    return tuple(
        old.cut(int(old.count) - 1, int(old.count), -1) if old and axis in along else old
        for axis, old in enumerate(inputs[0])
    )


def expanded(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    axis = tf.get_static_value(operation.inputs[1])
    if axis is None:
        return pushed(operation, inputs, output)
    axis = int(np.ravel(axis)[0]) % output.shape.rank
    return (*inputs[0][:axis], None, *inputs[0][axis:])


def squeezed(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    sizes = operation.inputs[0].shape
    gone = {axis % len(sizes) for axis in operation.get_attr("squeeze_dims")}
    gone = gone or {axis for axis, size in enumerate(sizes) if size == 1}
    return tuple(old for axis, old in enumerate(inputs[0]) if axis not in gone)


def rolled(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    shifts, along = (tf.get_static_value(x) for x in operation.inputs[1:])
    if shifts is None or along is None:
        return lost(operation, inputs, output)
    axes = list(inputs[0])
    for by, axis in zip(np.ravel(shifts), np.ravel(along), strict=True):
        old = axes[axis]
        axes[axis] = old.moved_round(int(by)) if isinstance(old, Span) else old and LOST
    return tuple(axes)


def gathered(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """Cells by their numbers: one, or several of equal distances."""
    numbers, axis = (tf.get_static_value(x) for x in operation.inputs[1:])
    if not any(inputs[0]) or numbers is None or axis is None or numbers.ndim > 1:
        return pushed(operation, inputs, output)
    axis = int(axis) % len(inputs[0])
    before, old, after = inputs[0][:axis], inputs[0][axis], inputs[0][axis + 1 :]
    if numbers.ndim == 0:
        return (*before, *after)
    steps = set(np.diff(numbers)) or {1}
    if old and (len(steps) > 1 or 0 in steps or not len(numbers)):
        return pushed(operation, inputs, output)
    return (*before, old and _sliced(old, int(numbers[0]), int(steps.pop()), len(numbers)), *after)
