"""One forward and one backward pass for all requested layers, reduced to small maps inside the graph."""

from collections.abc import Callable, Mapping
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
        A function of (batch, target): batch float32 (1, h, w, 3), target a class index or None for the most
        probable class. It returns the logits, float32 (classes,), and the maps by name, float32 (h, w), signed.
        It may be called from several threads at once.

    Raises:
        SettingError: the method or the score is unknown.
    """
    if isinstance(method, str):
        if method not in METHODS:
            raise SettingError(f"There is no method {method!r}. There is: {', '.join(METHODS)}.")
        method = METHODS[method]
    if score not in SCORES:
        raise SettingError(f"The score is {' or '.join(map(repr, SCORES))}, not {score!r}.")

    @tf.function(
        input_signature=[tf.TensorSpec((1, *network.input_size, 3), tf.float32), tf.TensorSpec((), tf.int32)],
        autograph=False,
    )
    def compiled(batch: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
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
        target = tf.where(target < 0, tf.argmax(logits[0], output_type=tf.int32), target)
        tapped = [activations[name] for name in names]
        gradient = tf.gradients(scores[0, target], tapped, unconnected_gradients="zero") if names else []
        maps = [
            method(tf.cast(a, tf.float32), tf.cast(g, tf.float32))[0] for a, g in zip(tapped, gradient, strict=True)
        ]
        return logits[0], maps

    concrete = compiled.get_concrete_function()

    def run(batch: np.ndarray, target: int | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        logits, maps = concrete(tf.constant(batch), tf.constant(-1 if target is None else target))
        maps = {name: values.numpy() for name, values in zip(names, maps, strict=True)}
        if not all(np.isfinite(values).all() for values in (logits.numpy(), *maps.values())):
            raise NetworkError(
                f"{network.name} gives values that are not numbers for this photo, so nothing can be explained. "
                "Its weights or its preprocessing do not fit."
            )
        return logits.numpy(), maps

    return run
