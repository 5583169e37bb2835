"""One forward and one backward pass for all requested layers, reduced to small maps inside the graph."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import keras
import numpy as np
import tensorflow as tf

from ..errors import SettingError
from ..networks.classifier import Classifier, check_finite
from ..settings import SCORES
from .methods import FUNCTIONS, Method
from .selection import select

Trace = Callable[..., tuple[np.ndarray, Mapping[str, np.ndarray]]]

# Held by whoever runs a backward pass. TensorFlow's oneDNN kernels for it are not safe from several threads: where
# passes overlap, one in hundreds gives another map, or ends the process. A pass uses all cores by itself.
_alone = threading.Lock()


def scores_of(network: Classifier, logits: tf.Tensor, score: str) -> tf.Tensor:
    """What is explained, "logit" or "probability": float32 (n, classes) from float32 (n, classes) logits."""
    if score == "logit":
        return logits
    is_sigmoid = network.activation == "sigmoid" and not network.is_binary
    return tf.sigmoid(logits) if is_sigmoid else tf.nn.softmax(logits)


def guided_backpropagation(network: Classifier, score: str = "logit") -> Callable[..., np.ndarray]:
    """Compile guided backpropagation: the gradient by the input that goes only through what raises the score.

    On the way back through each ReLU, what is negative is dropped: :math:`R^l = 1[f^l > 0] 1[R^{l+1} > 0] R^{l+1}`.
    The first factor is the ReLU's own gradient and the second follows its output, so the network needs no change.

    Args:
        network: a loaded network, which is not changed.
        score: "logit" or "probability".

    Returns:
        A function of (batch, weights), float32 (1, h, w, 3) and the weights of a sum of scores, float32 (classes,),
        that gives float32 (h, w, 3).

    Raises:
        SettingError: the network has no ReLU, so that nothing would be guided.

    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", ICLR 2015 workshop, section 3.4.
    """

    @tf.custom_gradient
    def rectify_gradient(output: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.identity(output), tf.nn.relu

    found = []

    def after(operation: keras.Operation, output: tf.Tensor) -> tf.Tensor:
        activation = getattr(getattr(operation, "activation", None), "__name__", None)
        if activation in ("relu", "relu6") or type(operation).__name__ in ("ReLU", "Relu", "Relu6"):
            found.append(operation)
            return rectify_gradient(output)
        return output

    def gradient(batch: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = network.logits(batch, after=after)
        total = tf.reduce_sum(scores_of(network, logits, score)[0] * weights)
        return tf.gradients(total, batch, unconnected_gradients="zero")[0][0]

    signature = [
        tf.TensorSpec((1, *network.input_size, 3), tf.float32),
        tf.TensorSpec((len(network.labels),), tf.float32),
    ]
    compiled = tf.function(gradient, input_signature=signature, autograph=False).get_concrete_function()
    if not found:
        raise SettingError(f"Guided Grad-CAM follows ReLUs, and {network.name} has none. Choose another method.")

    def run(batch: np.ndarray, weights: np.ndarray) -> np.ndarray:
        with _alone:
            return compiled(tf.constant(batch), tf.constant(weights)).numpy()

    return run


def trace(network: Classifier, names: tuple[str, ...], method: str | Method = "gradcam", score: str = "logit") -> Trace:
    """The pass that gives the logits and a map of each layer, compiled at first use and kept by the network.

    The gradient is taken by the activations only, never by the weights, which is what keeps the backward pass
    short; TensorFlow leaves out everything below the shallowest layer. Each (h, w, c) pair is reduced to (h, w)
    before it leaves the graph.

    Args:
        network: a loaded network; nothing in it is changed.
        names: layers, in network order.
        method: a name in ``FUNCTIONS``, or such a function.
        score: "logit", or "probability" for the gradient of the softmax (the arithmetic of many articles; it
            vanishes where the softmax is saturated).

    Returns:
        A function of (batch, target). batch: float32 (1, h, w, 3). target: a class index, or None for the most
        probable class; float32 (classes,), the weights of a sum of scores; or float32 (n, classes), n such sums, each
        explained on its own from one forward pass and one backward pass that is batched over them. It returns the
        logits, float32 (classes,), and the maps by name, float32 (h, w), signed; for n sums (n, h, w). It may be
        called from several threads at once.

    Raises:
        SettingError: the method or the score is unknown.
    """
    if isinstance(method, str):
        if method not in FUNCTIONS:
            raise SettingError(f"There is no method {method!r} of one pass. There is: {', '.join(FUNCTIONS)}.")
        method = FUNCTIONS[method]
    if score not in SCORES:
        raise SettingError(f"The score is {' or '.join(map(repr, SCORES))}, not {score!r}.")
    return network.compiled((names, method, score), lambda: _compiled(network, names, method, score))


def warm_up(network: Classifier, layers: str | Sequence[str] = "stages") -> None:
    """Compile the pass for these layers and run it once, so that the first photo need not wait."""
    names = tuple(layer.name for layer in select(network, layers))
    trace(network, names)(network.to_input(np.zeros((*network.input_size, 3), np.uint8)))


def _compiled(network: Classifier, names: tuple[str, ...], method: Method, score: str) -> Trace:
    def reduced(batch: tf.Tensor, weights: tf.Tensor, is_batched: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        activations: dict[str, tf.Tensor] = {}

        def visit(name: str, _operation: object, _inputs: object, output: tf.Tensor) -> None:
            if name in names:
                activations[name] = output

        logits = network.logits(batch, visit=visit)
        scores = scores_of(network, logits, score)
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
        is_one = not isinstance(target, np.ndarray) or target.ndim < 2
        weights = np.zeros((1, len(network.labels)), np.float32)  # all zeros: the most probable class
        if isinstance(target, np.ndarray) and target.ndim:
            weights = np.atleast_2d(target.astype(np.float32))
        elif target is not None:
            weights[0, target] = 1
        compiled_pass = single if is_one else batched()
        with _alone:
            logits, maps = compiled_pass(tf.constant(batch), tf.constant(weights))
        raw = {name: values.numpy()[0 if is_one else ...] for name, values in zip(names, maps, strict=True)}
        check_finite(network.name, logits.numpy(), *raw.values())
        return logits.numpy(), raw

    return run
