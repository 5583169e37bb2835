"""Any layer name in TensorFlow's graphs: Keras allows "first conv", "_conv", "блок1", and opens a scope called so."""

import re

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
