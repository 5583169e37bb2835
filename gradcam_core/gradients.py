"""One forward and one backward pass for all requested layers, reduced to small maps inside the graph."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from . import graph
from .errors import NetworkError, SettingError
from .methods import METHODS, Method

if TYPE_CHECKING:
    from .classifier import Classifier

SCORES = ("logit", "probability")

Trace = Callable[..., tuple[np.ndarray, Mapping[str, np.ndarray]]]


def trace(
    network: "Classifier", names: tuple[str, ...], method: str | Method = "gradcam", score: str = "logit"
) -> Trace:
    """Compile the pass that gives the logits and a map of each layer.

    The gradient is taken by the activations only, never by the weights, which is what keeps the backward pass
    short; TensorFlow leaves out everything below the shallowest layer. Each (h, w, c) pair is reduced to (h, w)
    before it leaves the graph.

    Args:
        network: a loaded network; nothing in it is changed.
        names: layers, in network order; none gives the logits alone.
        method: a name in ``METHODS``, or such a function.
        score: "logit", or "probability" for the gradient of the softmax (the arithmetic of many articles; it
            vanishes where the softmax is saturated).

    Returns:
        A function of (batch, target). batch: float32 (1, h, w, 3). target: a class index, or None for the most
        probable class; or float32 (n, classes), n sums of scores, each explained on its own from one forward pass
        and one backward pass that is batched over them. It returns the logits, float32 (classes,), and the maps by
        name, float32 (h, w), signed; for n sums (n, h, w). It may be called from several threads at once.

    Raises:
        SettingError: the method or the score is unknown.
    """
    if isinstance(method, str):
        if method not in METHODS:
            raise SettingError(f"There is no method {method!r}. There is: {', '.join(METHODS)}.")
        method = METHODS[method]
    if score not in SCORES:
        raise SettingError(f"The score is {' or '.join(map(repr, SCORES))}, not {score!r}.")

    def reduced(batch: tf.Tensor, weights: tf.Tensor, is_batched: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        activations: dict[str, tf.Tensor] = {}

        def visit(name: str, _operation: object, _inputs: object, output: tf.Tensor) -> None:
            if name in names:
                activations[name] = output

        logits = graph.run(network.model, batch, visit)
        if network.is_binary:
            # One sigmoid output z is a softmax over (-z/2, z/2): the same probabilities, evidence for both classes.
            logits = tf.concat([-logits / 2, logits / 2], axis=-1)
        scores = logits
        if score == "probability":
            is_sigmoid = network.activation == "sigmoid" and not network.is_binary
            scores = tf.sigmoid(logits) if is_sigmoid else tf.nn.softmax(logits)
        if not names:
            return logits[0], []
        tapped = [activations[name] for name in names]

        def gradient(weight: tf.Tensor) -> list[tf.Tensor]:
            return tf.gradients(tf.reduce_sum(scores[0] * weight), tapped, unconnected_gradients="zero")

        if is_batched:
            # The gradients stand under one another, each (1, h, w, c); what the backward pass shares is done once.
            gradients = [stacked[:, 0] for stacked in tf.vectorized_map(gradient, weights)]
            tapped = [tf.repeat(activation, tf.shape(weights)[0], axis=0) for activation in tapped]
        else:
            top = tf.one_hot(tf.argmax(logits[0]), len(network.labels))
            gradients = gradient(tf.where(tf.reduce_any(weights != 0), weights[0], top))
        return logits[0], [
            method(tf.cast(a, tf.float32), tf.cast(g, tf.float32)) for a, g in zip(tapped, gradients, strict=True)
        ]

    def compiled(count: int | None) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]:
        signature = [
            tf.TensorSpec((1, *network.input_size, 3), tf.float32),
            tf.TensorSpec((count, len(network.labels)), tf.float32),
        ]
        traced = tf.function(partial(reduced, is_batched=count is None), input_signature=signature, autograph=False)
        return traced.get_concrete_function()

    single = compiled(1)
    batched = cache(lambda: compiled(None))  # few ask for it, and it takes three times as long to trace

    def run(batch: np.ndarray, target: int | np.ndarray | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        is_one = target is None or np.ndim(target) == 0
        weights = np.zeros((1, len(network.labels)), np.float32) if is_one else np.asarray(target, np.float32)
        if target is not None and is_one:
            weights[0, target] = 1  # all zeros: the most probable class
        logits, maps = (single if is_one else batched())(tf.constant(batch), tf.constant(weights))
        maps = {name: values.numpy()[0 if is_one else ...] for name, values in zip(names, maps, strict=True)}
        if not all(np.isfinite(values).all() for values in (logits.numpy(), *maps.values())):
            raise NetworkError(
                f"{network.name} gives values that are not numbers for this photo, so nothing can be explained. "
                "Its weights or its preprocessing do not fit."
            )
        return logits.numpy(), maps

    return run
