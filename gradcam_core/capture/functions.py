"""Functions of a part of a traced graph: from some of its tensors to others, as often as wanted.

TensorFlow makes a function of a whole graph. Here it is shown the operations that are needed, so that nothing is traced
or imported again.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager.polymorphic_function.atomic_function import AtomicFunction, from_func_graph

_number = itertools.count()  # functions are known by their names


def function_of(inputs: Sequence[tf.Tensor], outputs: Sequence[tf.Tensor]) -> Callable[..., list[tf.Tensor]]:
    """What gives the outputs' values for values of the inputs.

    Args:
        inputs: tensors of one graph: placeholders, or others, whose values are then given and not worked out.
        outputs: tensors of the same graph.

    Returns:
        A function of a tensor for each input, called eagerly, from any thread; no tape sees what it does. It holds
        handles of the variables that it needs, and nothing of the graph.
    """
    graph = outputs[0].graph
    needed = _needed(inputs, outputs)
    captured = [(outer, inner) for outer, inner in graph.captures if inner.op in needed]
    part = _Part(graph, needed, [*inputs, *(inner for _, inner in captured)], outputs)
    function = _ungraphed(from_func_graph(f"gradcam_{next(_number)}", part, {}))
    held = [outer for outer, _ in captured]
    return lambda *values: function.call_flat(*values, *held)


def _needed(inputs: Sequence[tf.Tensor], outputs: Sequence[tf.Tensor]) -> set[tf.Operation]:
    """The operations that the outputs are made by, as far as the inputs."""
    found, waiting = {tensor.op for tensor in inputs}, [tensor.op for tensor in outputs]
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += [*(x.op for x in operation.inputs), *operation.control_inputs]
    return found


class _Part:
    """A part of a graph, as TensorFlow looks at a graph that it makes a function of."""

    def __init__(
        self, graph: tf.Graph, needed: set[tf.Operation], inputs: Sequence[tf.Tensor], outputs: Sequence[tf.Tensor]
    ) -> None:
        self._graph = graph
        self._needed = needed
        self.inputs, self.outputs, self.control_outputs = list(inputs), list(outputs), ()

    def get_operations(self) -> list[tf.Operation]:
        return [operation for operation in self._graph.get_operations() if operation in self._needed]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._graph, name)


def _ungraphed(function: AtomicFunction) -> AtomicFunction:
    """The same function of the runtime, and those that it calls, without the graphs that they were made of."""
    children = [_ungraphed(child) for child in function.children]
    return AtomicFunction(
        function.name, function._bound_context, function.function_type, children, function.call_options
    )
