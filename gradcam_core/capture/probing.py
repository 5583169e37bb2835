"""Where an operation moves an image, found out by pushing coordinates through it.

For what has no rule of its own, or whose sizes are worked out while it runs: a resize that keeps the aspect ratio, a
function in the graph, a gather.
"""

import numpy as np
import tensorflow as tf

from .axes import LOST, Axes, Span, plain
from .functions import function_of


def lost(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """Nobody knows where."""
    if not output.shape.rank:
        return ()
    first = LOST if any(axes and axes[0] for axes in inputs) else None  # the photos stay, if nothing is among them
    return (first, *(LOST,) * (output.shape.rank - 1))


def pushed(operation: tf.Operation, inputs: list[Axes], output: tf.Tensor) -> Axes:
    """What only moves an image is asked where to: an image of rows, one of columns and one of ones go through it."""
    images = [(x, axes) for x, axes in zip(operation.inputs, inputs, strict=True) if any(axes)]
    unknown = lost(operation, inputs, output)
    if len(images) != 1 or len(images[0][1]) != 4 or output.shape.rank != 4:
        return unknown
    image, (batch, *sides, channels) = images[0]
    rows, columns = map(plain, sides)
    if batch or channels or not rows or not columns or {rows.side, columns.side} != {0, 1}:
        return unknown
    shape = (3, int(rows.count), int(columns.count), image.shape[3])
    if None in shape or image.shape[0] is not None:
        return unknown
    ramp = np.ones(shape, np.float32)
    ramp[0] = np.arange(shape[1])[:, np.newaxis, np.newaxis] + 0.5
    ramp[1] = np.arange(shape[2])[:, np.newaxis] + 0.5
    try:
        moved = _run(output, image, ramp)
    except (tf.errors.OpError, ValueError):
        return unknown
    if moved.shape[0] != 3:
        return unknown
    return (None, *_read(moved, (rows, columns)), None)


def _run(output: tf.Tensor, image: tf.Tensor, values: np.ndarray) -> np.ndarray:
    """The tensor where another one has other values, and the network's input is black."""
    batch = output.graph.inputs[0]
    black = [] if image is batch else [(batch, tf.zeros((len(values), *batch.shape[1:])))]
    inputs, given = zip(*black, (image, tf.cast(values, image.dtype)), strict=True)
    return tf.cast(function_of(inputs, [output])(*given)[0], tf.float32).numpy()


def _read(moved: np.ndarray, spans: tuple[Span, Span]) -> list[Span]:
    """The spans of the axes of moved images of rows, columns and ones, (3, h, w, c), by two of their cells."""
    is_seen = np.abs(moved[2] - 1).max(-1) < 1e-3  # the rest is padding
    found: list[Span] = []
    for axis in (0, 1):
        seen = np.flatnonzero(is_seen.any(1 - axis))
        if len(seen) < 2 or not is_seen[np.ix_(*(np.flatnonzero(is_seen.any(1 - k)) for k in (0, 1)))].all():
            return [LOST, LOST]
        first, last, count = seen[0], seen[-1], moved.shape[1 + axis]
        for which, span in enumerate(spans):
            along = np.moveaxis(moved[which], axis, 0)[:, is_seen.any(axis)]
            step = (along[last].mean() - along[first].mean()) / (last - first)
            expected = along[first].mean() + step * (np.arange(first, last + 1) - first)
            if abs(step) > 1e-3 and np.abs(along[first : last + 1] - expected[:, None, None]).max() < 0.51:
                start = span.start + (expected[0] - step * (first + 0.5)) * span.cell
                found.append(Span(span.side, count, start, start + count * step * span.cell, (first, count - 1 - last)))
    return found if sorted(span.side for span in found) == [0, 1] else [LOST, LOST]
