"""Run a Keras network one operation at a time, so that any tensor inside it can be looked at.

Building a second ``keras.Model`` on inner tensors fails for nested networks ("graph disconnected") and leaves
traces in the caller's layers. Running the recorded operations again does neither: it works at any depth, and
calling a layer on plain tensors changes nothing in it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops
from keras.src.models.functional import Functional

from ..errors import NetworkError
from .scopes import allow_any_name

Visit = Callable[[str, keras.Operation, list[Any], Any], None]  # name, operation, its inputs, its output


def functional(operation: object) -> Functional | None:
    """The graph inside a functional or sequential model; None for everything else.

    A subclass with a ``call`` of its own computes something else than its graph, so it counts as "else".
    """
    if isinstance(operation, keras.Sequential):
        operation = operation._functional
    return operation if isinstance(operation, Functional) and type(operation).call is Functional.call else None


def head_activation(model: keras.Model) -> str:
    """What turns the logits of ``model`` into its output: "softmax", "sigmoid" or "linear"."""
    operation = _head(functional(model))
    inner = functional(operation)
    return head_activation(inner) if inner is not None else probability(operation) or "linear"


def run(
    model: keras.Model,
    batch: tf.Tensor,
    visit: Visit = lambda *_: None,
    after: Callable[[keras.Operation, Any], Any] = lambda _operation, output: output,
) -> tf.Tensor:
    """Logits of ``model`` for ``batch``; every operation on the way is shown to ``visit``.

    Args:
        model: a functional or sequential Keras model with one input and one output.
        batch: float (n, h, w, c), what the model itself takes.
        visit: called in network order with the operation's name (a path inside nested models:
            ``vgg16/block5_conv3``), the operation, its input tensors and its output tensor.
        after: given each operation but the head's, and its output; what it gives takes the output's place.

    Returns:
        float32 (n, classes): the scores before the model's own softmax or sigmoid.
    """

    def apply(operation: keras.Operation, is_head: bool, args: tuple, kwargs: dict) -> Any:  # noqa: ANN401
        if getattr(operation, "_call_has_training_arg", False):
            kwargs["training"] = False
        return _logits(operation, args, kwargs) if is_head else after(operation, operation(*args, **kwargs))

    allow_any_name()
    (logits,) = keras.tree.flatten(_walk(model, batch, apply, visit))  # an output may have a name: {"species": ...}
    return tf.cast(tf.reshape(logits, (tf.shape(logits)[0], -1)), tf.float32)


def run_shapes(model: keras.Model, batch: keras.KerasTensor, visit: Visit) -> None:
    """`run` on shapes alone, which takes a fraction of the time."""
    _walk(model, batch, lambda operation, _is_head, args, kwargs: operation.compute_output_spec(*args, **kwargs), visit)


def _walk(model: keras.Model, batch: Any, apply: Callable[..., Any], visit: Visit) -> Any:  # noqa: ANN401
    uses: Counter[str] = Counter()

    def walk(model: keras.Model, inputs: list[Any], prefix: str, is_head: bool) -> Any:  # noqa: ANN401
        graph = functional(model)
        head = _head(graph)

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            name = prefix + operation.name
            tensors = [x for x in keras.tree.flatten((args, kwargs)) if _is_tensor(x)]
            if functional(operation) is not None:
                return walk(operation, tensors, name + "/", is_head and operation is head)
            output = apply(operation, is_head and operation is head, args, kwargs)
            if _is_tensor(output):
                uses[name] += 1
                visit(name if uses[name] == 1 else f"{name}#{uses[name]}", operation, tensors, output)
            return output

        return graph._run_through_graph(inputs, call_fn=call)  # type: ignore[union-attr]

    return walk(model, [batch], "", True)


def _is_tensor(value: object) -> bool:
    return tf.is_tensor(value) or isinstance(value, keras.KerasTensor)


def _head(graph: Functional) -> keras.Operation:
    """The last operation that computes something: after it, values are only handed on."""
    history = graph.outputs[0]._keras_history
    while hands_on(history.operation):
        history = history.operation._inbound_nodes[history.node_index].input_tensors[0]._keras_history
    return history.operation


def hands_on(operation: keras.Operation) -> bool:
    """Whether the values that come out are those that went in, whatever their shape or type, once it is trained."""
    if (inner := functional(operation)) is not None:
        return isinstance(_head(inner), keras.layers.InputLayer)
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    return type(operation).__name__ in (
        "Identity",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Cast",
        "Dropout",
        "SpatialDropout2D",
    )


def probability(operation: keras.Operation) -> str | None:
    """ "softmax" or "sigmoid" where the operation ends in one (as a layer, or as in keras.ops), else None."""
    name = getattr(getattr(operation, "activation", None), "__name__", type(operation).__name__.lower())
    return name if name in ("softmax", "sigmoid") else None


def _logits(operation: keras.Operation, args: tuple, kwargs: dict) -> tf.Tensor:
    """The operation's result without its softmax or sigmoid, which is left in place for everyone else."""
    activation = probability(operation)
    if activation is None:
        return operation(*args, **kwargs)
    if isinstance(operation, keras.layers.Activation) or type(operation).__name__.lower() == activation:
        return args[0]
    if type(operation) is keras.layers.Dense:
        x = ops.cast(args[0], operation.compute_dtype)
        x = ops.matmul(x, ops.cast(operation.kernel, x.dtype))
        return x if operation.bias is None else ops.add(x, ops.cast(operation.bias, x.dtype))
    raise NetworkError(
        f"The last layer {operation.name!r} ({type(operation).__name__}) applies its {activation} itself. "
        "Put the activation into a layer of its own (keras.layers.Softmax or Activation), so that logits can be read."
    )
