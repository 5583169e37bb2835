"""The numbers that a traced graph makes of its tensors' shapes, for any number of photos: what a reshape goes by."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

ANY = 2**31 - 1  # stands for the number of photos: a prime, which is no product of other sizes
_LARGEST = 16  # numbers in a shape, or in what becomes one


def shape_numbers(operation: tf.Operation, sizes: Sequence[int | None], known: dict[str, np.ndarray]) -> None:
    """Add what an operation gives to the numbers that are known, int64 by name of the tensor.

    Args:
        operation: of a graph, whose operations before it have been here.
        sizes: of the operation's first input, where that is a tensor.
        known: what is added to.
    """
    kind, names = operation.type, [x.name for x in operation.inputs]
    if kind == "Const":
        tensor = operation.outputs[0]
        if tensor.dtype.is_integer and (tensor.shape.num_elements() or 0) <= _LARGEST:
            known[tensor.name] = np.asarray(tf.get_static_value(tensor), np.int64)
    elif kind == "Shape":
        if None not in sizes:
            known[operation.outputs[0].name] = np.array(sizes, np.int64)
    elif kind in _NUMBERS and names and all(name in known for name in names):
        values = [known[name] for name in names]
        for output, value in zip(operation.outputs, _NUMBERS[kind](operation, *values), strict=True):
            known[output.name] = value


_Values = list[np.ndarray]


def _of(function: Callable[..., np.ndarray]) -> Callable[..., _Values]:
    return lambda operation, *values: [np.asarray(function(*values), np.int64)]


def _slice(operation: tf.Operation, x: np.ndarray, begin: np.ndarray, end: np.ndarray, step: np.ndarray) -> _Values:
    masks = {name: operation.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis")}
    if x.ndim != 1 or masks["ellipsis"] or masks["new_axis"]:
        return [x]
    if operation.get_attr("shrink_axis_mask"):
        return [x[begin[0]]]
    first, last = None if masks["begin"] else begin[0], None if masks["end"] else end[0]
    return [x[first : last : step[0]]]


_NUMBERS: dict[str, Callable[..., _Values]] = {
    "AddV2": _of(np.add),
    "Cast": _of(lambda x: x),
    "ConcatV2": lambda _, *values: [np.concatenate(values[:-1], int(values[-1]))],
    "ExpandDims": _of(lambda x, axis: np.expand_dims(x, int(axis))),
    "FloorDiv": _of(np.floor_divide),
    "FloorMod": _of(np.mod),
    "GatherV2": _of(lambda x, numbers, axis: np.take(x, numbers, int(axis))),
    "Identity": _of(lambda x: x),
    "Mul": _of(np.multiply),
    "Pack": lambda operation, *values: [np.stack(values, operation.get_attr("axis"))],
    "Prod": lambda operation, x, axis: [np.prod(x, tuple(np.ravel(axis)), keepdims=operation.get_attr("keep_dims"))],
    "Reshape": _of(np.reshape),
    "Squeeze": _of(np.squeeze),
    "StridedSlice": _slice,
    "Sub": _of(np.subtract),
    "Unpack": lambda operation, x: list(np.moveaxis(x, operation.get_attr("axis"), 0)),
}
