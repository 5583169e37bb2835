"""What TensorFlow's graphs are made to take while a network is traced: layers of any name, and slopes of any value.

Keras allows "first conv", "_conv", "блок1", and opens a scope called so.
"""

import re
from typing import Any

import tensorflow as tf


def allow_any_name() -> None:
    """Let the graph that is being traced, and no other, take scopes of any name.

    A scope only names operations. The graph's own check of it would end the trace of a network that Keras itself
    has built, called and saved.
    """
    if tf.executing_eagerly():
        return
    graph = tf.compat.v1.get_default_graph()
    strict = graph.name_scope
    graph.name_scope = lambda name: strict(name and _scope(name))


def _scope(name: str) -> str:
    """``name`` where it is a scope's, or what is nearest to it.

    >>> _scope("conv1/relu"), _scope("first conv"), _scope("_conv")
    ('conv1/relu', 'first_conv', '._conv')
    """
    name = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    return name if re.match("[A-Za-z0-9.]", name) else f".{name}"


def keep_slopes(graph: tf.Graph) -> None:
    """Let the graph that is being traced, and no other, keep each LeakyRelu that follows a sum apart from it.

    TensorFlow 2.21 makes one operation of a convolution, its bias, a sum and a LeakyRelu, and takes a slope of 0.2 for
    the last, whatever was asked for: what it compiles gives other values than the network itself.
    """
    make = graph._create_op_internal

    def made(op_type: str, inputs: list[tf.Tensor], *args: Any, **kwargs: Any) -> tf.Operation:  # noqa: ANN401
        if op_type == "LeakyRelu" and tf.is_symbolic_tensor(inputs[0]) and inputs[0].op.type in ("Add", "AddV2"):
            with graph.gradient_override_map({"Snapshot": "Identity"}):
                inputs = [tf.raw_ops.Snapshot(input=inputs[0])]
        return make(op_type, inputs, *args, **kwargs)

    graph._create_op_internal = made
