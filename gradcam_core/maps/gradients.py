"""One forward and one backward pass for all requested layers, reduced to small maps inside the graph."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ..capture.place import Place
from ..capture.recording import compiled
from ..errors import SettingError
from ..networks.classifier import Classifier, check_finite
from ..settings import BATCH_PIXELS, SCORES
from .methods import FUNCTIONS, Method
from .selection import select

Trace = Callable[..., tuple[np.ndarray, Mapping[str, np.ndarray]]]

# Held by whoever runs a backward pass. TensorFlow's oneDNN kernels for it are not safe from several threads: where
# passes overlap, one in hundreds gives another map, or ends the process. A pass uses all cores by itself.
_alone = threading.Lock()


def scores_of(network: Classifier, logits: tf.Tensor, score: str, region: tf.Tensor | None = None) -> tf.Tensor:
    r"""What is explained, "logit" or "probability": float32 (n, classes) from float32 (n, classes) logits.

    From logits for each pixel, (n, h, w, classes), it is their sum over the pixels that each class has,
    :math:`\sum_{(i, j) \in M} y^c_{ij}`, or over a region that is given: its weights, float32 (n, h, w); those below 0
    stand for the class's own pixels.

    Source: Vinogradova, Dibrov, Myers, "Towards Interpretable Semantic Segmentation via Gradient-Weighted Class
    Activation Mapping", AAAI 2020, equation 2.
    """
    if score == "logit" or network.activation == "none" or network.measures == "value":
        scores = logits
    else:
        is_sigmoid = network.activation == "sigmoid" and not network.is_binary
        scores = tf.sigmoid(logits) if is_sigmoid else tf.nn.softmax(logits)
    if not network.is_grid:
        return scores
    pixels = network.pixels(logits)
    if region is not None:
        pixels = tf.where(region[..., tf.newaxis] < 0, pixels, region[..., tf.newaxis])
    return tf.reduce_sum(scores * tf.stop_gradient(pixels), (1, 2))


@tf.RegisterGradient("GradcamGuidedRelu")
def _guided_relu(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.ReluGrad(gradients=tf.nn.relu(gradient), features=operation.outputs[0])


@tf.RegisterGradient("GradcamGuidedRelu6")
def _guided_relu6(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.Relu6Grad(gradients=tf.nn.relu(gradient), features=operation.outputs[0])


_GUIDED = {"Relu": "GradcamGuidedRelu", "Relu6": "GradcamGuidedRelu6"}


def guided_backpropagation(network: Classifier, score: str = "logit") -> Callable[..., np.ndarray]:
    """Compile guided backpropagation: the gradient by the input that goes only through what raises the score.

    On the way back through each ReLU, what is negative is dropped: :math:`R^l = 1[f^l > 0] 1[R^{l+1} > 0] R^{l+1}`.
    It is done in a graph of its own, wherever the ReLU was written, so the network needs no change.

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
    recording = network.recorded(_GUIDED)
    if not any(operation.type in _GUIDED for operation in recording.operations):
        raise SettingError(f"Guided Grad-CAM follows ReLUs, and {network.name} has none. Choose another method.")

    def gradient(weights: tf.Tensor) -> list[tf.Tensor]:
        total = tf.reduce_sum(scores_of(network, network.logits(recording), score) * weights)
        return tf.gradients(total, recording.batch, unconnected_gradients="zero")

    gradient_pass = compiled(recording, gradient, tf.TensorSpec((len(network.labels),), tf.float32))

    def run(batch: np.ndarray, weights: np.ndarray) -> np.ndarray:
        with _alone:
            return gradient_pass(tf.constant(batch), tf.constant(weights))[0].numpy()[0]

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
        A function of (batch, target, region). batch: float32 (1, h, w, c). target: a class index, or None for the most
        probable class; float32 (classes,), the weights of a sum of scores; or float32 (n, classes), n such sums, each
        explained on its own: the photo goes through the network n times, in one batch; a row of zeros stands for the
        most probable class. region: for a network that gives scores for each pixel, the weights of these, float32
        (h, w); see `scores_of`. It returns the logits, float32 (classes,), or what `Classifier.answers` makes of them,
        and the maps by name, float32 (h, w), signed; for n sums (n, h, w).
        Of n photos, float32 (n, h, w, c) with n sums, each photo has the sum of its row, all go through at once (one
        by one where the network takes no more), and the logits are float32 (n, classes).
        It may be called from several threads at once, and raises a NetworkError where values are not numbers.

    Raises:
        SettingError: the method or the score is unknown.
    """
    if isinstance(method, str):
        if method not in FUNCTIONS:
            raise SettingError(f"There is no method {method!r} of one pass. There is: {', '.join(FUNCTIONS)}.")
        method = FUNCTIONS[method]
    if score not in SCORES:
        raise SettingError(f"The score is {' or '.join(map(repr, SCORES))}, not {score!r}.")
    return network.kept((names, method, score), lambda: _compiled(network, names, method, score))


def warm_up(network: Classifier, layers: str | Sequence[str] = "stages") -> None:
    """Compile the pass for these layers and run it once, so that the first photo need not wait."""
    names = tuple(layer.name for layer in select(network, layers))
    trace(network, names)(network.to_input(network.blank))


def _compiled(network: Classifier, names: tuple[str, ...], method: Method, score: str) -> Trace:
    recording = network.recording
    tensors = recording.tensors
    activations = [tensors[name] for name in names]
    places = [layer.place for name in names for layer in network.named_layers if layer.name == name]

    def reduced(weights: tf.Tensor, *region: tf.Tensor) -> list[tf.Tensor]:
        logits = network.logits(recording)
        answers = network.answers(logits)
        top = tf.one_hot(tf.argmax(answers, axis=-1), len(network.labels))
        weights = tf.where(tf.reduce_any(weights != 0, axis=-1, keepdims=True), weights, top)
        scores = scores_of(network, logits, score, *region)
        total = tf.reduce_sum(scores * weights)  # rows of a batch know nothing of each other
        gradients = tf.gradients(total, activations, unconnected_gradients="zero")
        pairs = zip(activations, gradients, places, strict=True)
        return [answers, *(method(_upright(a, place), _upright(g, place)) for a, g, place in pairs)]

    count = recording.batch.shape[0]  # None: any
    taken = [tf.TensorSpec((count, len(network.labels)), tf.float32)]
    if network.is_grid:
        taken.append(tf.TensorSpec((count, *recording.output.shape[1:3]), tf.float32))
    reduced_pass = compiled(recording, reduced, *taken)
    at_once = max(1, BATCH_PIXELS // math.prod(network.input_size))
    sides = tuple(recording.output.shape[1:3])

    def run(
        batch: np.ndarray, target: int | np.ndarray | None = None, region: np.ndarray | None = None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        weights = np.zeros((1, len(network.labels)), np.float32)  # all zeros: the most probable class
        if isinstance(target, np.ndarray) and target.ndim:
            weights = np.atleast_2d(target.astype(np.float32))
        elif target is not None:
            weights[0, target] = 1
        photos = np.broadcast_to(batch, (len(weights), *batch.shape[1:]))
        size = count or max(at_once, len(batch))
        parts = []
        for start in range(0, len(weights), size):
            rows = weights[start : start + size]
            given = [photos[start : start + size], rows]
            if network.is_grid:
                where = -np.ones(sides, np.float32) if region is None else region
                given.append(np.repeat(where[np.newaxis], len(rows), axis=0))
            with _alone:
                answers, *found = reduced_pass(*map(tf.constant, given))
            maps_of_part = (_laid(values.numpy(), place) for values, place in zip(found, places, strict=True))
            parts.append([answers.numpy(), *maps_of_part])
        answer, *joined = (np.concatenate(values) for values in zip(*parts, strict=True))
        is_one = not isinstance(target, np.ndarray) or target.ndim < 2
        maps = {name: values[0] if is_one else values for name, values in zip(names, joined, strict=True)}
        answer = answer if len(batch) > 1 else answer[0]
        check_finite(network.name, answer, *maps.values())
        return answer, maps

    return run


def _upright(tensor: tf.Tensor, place: Place | None) -> tf.Tensor:
    """float32 (n, h, w, c), h along the photo's height; of tokens, those of the grid."""
    tensor = tf.cast(tensor, tf.float32)
    if place and place.tokens:
        axis, first = place.tokens
        sides = [int(span.count) for _, span in sorted([(place.axes[0], place.rows), (place.axes[1], place.columns)])]
        tensor = tensor[(slice(None),) * axis + (slice(first, first + math.prod(sides)),)]
        tensor = tf.reshape(tensor, (-1, *sides, tensor.shape[2]) if axis == 1 else (-1, tensor.shape[1], *sides))
    return tf.transpose(tensor, (0, *place.axes)) if place and place.axes != (1, 2, 3) else tensor


def _laid(maps: np.ndarray, place: Place | None) -> np.ndarray:
    return place.over_input(maps) if place else maps
