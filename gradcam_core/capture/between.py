"""What a layer or a network with others inside does between calling them: ``x + y``, ``keras.ops.relu(x)``.

No operation of Keras is called there, so it is found in the graph that was traced meanwhile.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
from keras.src.models.functional import Functional
from keras.src.ops import nn as knn
from keras.src.ops import numpy as knp

# By type: no products, which functions with gradients of their own (silu) have inside.
_MERGES: dict[str, Callable[[], keras.Operation]] = {
    "Add": knp.Add,
    "AddN": knp.Add,
    "AddV2": knp.Add,
    "ConcatV2": knp.Concatenate,
    "Maximum": knp.Maximum,
}
_ACTIVATIONS: dict[str, Callable[[], keras.Operation]] = {
    "Elu": knn.Elu,
    "LeakyRelu": knn.LeakyRelu,
    "Relu": knn.Relu,
    "Relu6": knn.Relu6,
    "Selu": knn.Selu,
    "Tanh": knp.Tanh,
}


class Span(NamedTuple):
    """From an operation of the graph on, by its place, the code of one layer made them.

    Attributes:
        start: the place of the first of them.
        owner: the layer that is being called; None outside the network.
        path: the names of the layers that it is in, and its own.
    """

    start: int
    owner: keras.Operation | None
    path: tuple[str, ...]


def is_functional(operation: object) -> bool:
    """Whether it does nothing but call the operations of its graph; a subclass may have a ``call`` of its own."""
    if isinstance(operation, keras.Sequential):
        return operation.built
    return isinstance(operation, Functional) and type(operation).call is Functional.call


def made_between(
    graph: tf.Graph, spans: Sequence[Span], names: Iterable[str], known: set[str]
) -> Iterator[tuple[str, keras.Operation, tuple[tf.Tensor, ...], tf.Tensor]]:
    """What merges or activates and was written in the code of a layer with others inside.

    Args:
        graph: that was traced.
        spans: whose code made what in it, in order.
        names: that are taken; what is called like them gets ``#2``, as the second call of a layer does.
        known: the names of the tensors that have a name already: what a layer gives is called like the layer.

    Yields:
        (name, operation, inputs, output), in the order of the graph.
    """
    uses = Counter(re.sub(r"#\d+$", "", name) for name in names)
    operations = graph.get_operations()
    for span, after in zip(spans, [*(span.start for span in spans[1:]), len(operations)], strict=True):
        if span.owner is None or not _has_code(span.owner):
            continue
        for operation in operations[span.start : after]:
            made = _ACTIVATIONS.get(operation.type)
            if sum((x.shape.rank or 0) > 2 for x in operation.inputs) > 1:
                made = _MERGES.get(operation.type)
            if made and operation.outputs[0].name not in known:
                written = made()
                path = "/".join([*span.path, type(written).__name__.lower()])
                uses[path] += 1
                name = path if uses[path] == 1 else f"{path}#{uses[path]}"
                yield name, written, tuple(operation.inputs), operation.outputs[0]


def _has_code(operation: keras.Operation) -> bool:
    """Whether somebody wrote how it calls the layers that it has inside."""
    return (
        isinstance(operation, keras.Layer)
        and not type(operation).__module__.startswith("keras.src.layers")
        and not is_functional(operation)
        and any(operation._flatten_layers(include_self=False))
    )
