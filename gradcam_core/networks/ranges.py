"""Whether a network that gets photos as they are, from 0 to 255, was trained on values of another range.

Two things in the weights tell: the statistics of the first batch normalisation, which are those of the values that it
has seen, and a head that is sure beyond all measure of photos of mere noise.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from ..capture.head import HANDS_ON
from ..capture.recording import Recording, compiled

SUGGESTS = (
    "{0} was given photos as they are, with values from 0 to 255, but its weights look like those of a network that "
    'was trained on {1}. If its answers are odd, say so: preprocess="{1}" in Python, --preprocess {1} in the shell.'
)
RANGES = {"0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}

_MOVES = HANDS_ON | {
    "MirrorPad",
    "Pad",
    "PadV2",
    "ResizeBilinear",
    "ResizeNearestNeighbor",
    "ReverseV2",
    "StridedSlice",
}
_WEIGHS = {"Conv2D", "DepthwiseConv2dNative", "Einsum", "MatMul", "BatchMatMulV2", "SpaceToBatchND"}
_FAR, _NEAR = 10.0, 3.0  # factors between the deviations of values that a normalisation gets and those it has seen
_SURE = 100.0  # logits between the first class and the second: odds that nobody can have for noise


def rescales(recording: Recording) -> bool:
    """Whether a network does anything to its input's values before it weighs them: subtracts, divides, normalises."""
    inputs = {recording.batch.ref()}
    for operation in recording.operations:  # in the order in which they were made; a gradient's come after these
        if operation is recording.rows.op:
            return False
        if not any(x.ref() in inputs for x in operation.inputs):
            continue
        if operation.type in _MOVES:
            inputs |= {output.ref() for output in operation.outputs}
        elif operation.type not in _WEIGHS and operation.type != "Shape":
            return True
    return False


def suggested(recording: Recording) -> str | None:
    """The name of the range that the weights suggest instead of 0..255, or None where they suggest no other."""
    seen = _first_statistics(recording)
    score = recording.rows if seen is None else seen[0]
    if seen is None:
        logits = recording.head.logits
        score = tf.concat([logits, tf.zeros_like(logits)], -1) if logits.shape[-1] == 1 else logits
    forward = compiled(recording, lambda: [score])
    photos = _photos(tuple(recording.batch.shape))
    found = {
        name: forward(tf.constant(photos * np.float32(scale) + np.float32(shift)))[0].numpy().astype(np.float64)
        for name, (scale, shift) in {"0..255": (1.0, 0.0), **RANGES}.items()
    }
    if not all(np.isfinite(values).all() for values in found.values()):
        return None
    if seen is None:
        return _by_head(found)
    return _by_statistics(found, *seen[1:])


def _by_statistics(found: dict[str, np.ndarray], mean: np.ndarray, variance: np.ndarray) -> str | None:
    r"""The range in which a normalisation gets what it has seen: that of the smallest divergence of two Gaussians,
    :math:`\\frac{1}{2} (s^2 / v + (m - \\mu)^2 / v - 1 - \\ln(s^2 / v))`, the median over the channels.
    """
    factors, distances = {}, {}
    for name, values in found.items():
        axes = tuple(range(values.ndim - 1))
        now = values.var(axes) + 1e-12
        ratio = now / (variance + 1e-12)
        factors[name] = float(np.exp(abs(np.median(np.log(ratio))) / 2))
        distances[name] = float(np.median(ratio + (values.mean(axes) - mean) ** 2 / (variance + 1e-12) - np.log(ratio)))
    best = min(RANGES, key=distances.__getitem__)
    return best if factors["0..255"] > _FAR and factors[best] < _NEAR else None


def _by_head(found: dict[str, np.ndarray]) -> str | None:
    """0..1 where the network is surer of every photo of noise than anyone can be, and in that range it is not."""
    sure = {name: np.diff(np.sort(logits, -1)[:, -2:], axis=-1) for name, logits in found.items()}
    return "0..1" if sure["0..255"].min() > _SURE and np.median(sure["0..1"]) < _SURE / 4 else None


def _first_statistics(recording: Recording) -> tuple[tf.Tensor, np.ndarray, np.ndarray] | None:
    """What the first batch normalisation gets, and the mean and variance it has seen; None where there is none."""
    for call in recording.calls:
        layer: Any = call.operation
        if hasattr(layer, "moving_mean") and hasattr(layer, "moving_variance") and call.inputs:
            mean, variance = (np.array(x, np.float64) for x in (layer.moving_mean, layer.moving_variance))
            if np.ptp(mean) == 0 and np.ptp(variance) == 0:  # as it is made: it has seen nothing
                return None
            return tf.cast(call.inputs[0], tf.float32), mean, variance
    return None


def _photos(shape: Sequence[int | None]) -> np.ndarray:
    """float32 (n, h, w, c) in 0..255: noise of all sizes, with the mean and the contrast of usual photos."""
    count, height, width, channels = shape
    rng = np.random.default_rng(0)
    photos = []
    for _ in range(count or 4):
        photo = np.zeros((height or 1, width or 1, channels or 3))
        for cells in (1, 2, 4, 8, 16, 32):
            coarse = rng.normal(size=(cells, cells, 1)) + 0.3 * rng.normal(size=(cells, cells, photo.shape[-1]))
            fine = cv2.resize(coarse, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            photo += np.reshape(np.asarray(fine, np.float64), photo.shape) / cells**0.5
        photos.append(115 + 60 * (photo - photo.mean()) / (photo.std() + 1e-6))
    return np.clip(photos, 0, 255).astype(np.float32)
