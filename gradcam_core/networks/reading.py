"""How a network's logits become probabilities, and whether those are the network's own."""

import numpy as np

from ..capture.head import Head

TOLERANCE = 1e-3  # between a probability that is shown and the network's own

AS_THEY_ARE = (
    "{} gives its probabilities in a way in which no logits could be found, so its outputs are explained as they are: "
    "where it is very sure, maps may be faint or empty."
)
ONE_VALUE = (
    "{} ends in one number without an activation, which is shown as a value, as of an age or an angle. If it is the "
    "logit of two classes, give the names of both."
)
LOST = (
    "{} moves what it sees in a way that cannot be followed, so where the cells of {} lie in the photo is not known: "
    "their maps are stretched over the whole photo."
)


READ_AS = {
    "binary": "Its output is one sigmoid, for two classes.",
    "linear": "Its outputs are logits; their softmax is shown.",
    "none": "Its outputs are probabilities whose logits could not be found.",
    "sigmoid": "Its outputs are sigmoids, each for itself.",
    "softmax": "Its output is a softmax.",
    "share": "It gives each pixel a class; what is shown is the share of the photo.",
    "value": "Its outputs are values, shown as they are.",
}


def activated(logits: np.ndarray, activation: str) -> np.ndarray:
    """float32 (..., classes) in [0, 1] from float32 (..., classes) logits.

    Args:
        activation: "softmax", "linear" (logits, whose softmax is shown), "sigmoid" of each, or "none": they are
            probabilities.
    """
    logits = logits.astype(np.float64)
    if activation == "none":
        return logits.astype(np.float32)
    if activation == "sigmoid":
        return (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32)  # the sigmoid, without overflow
    power = np.exp(logits - logits.max(-1, keepdims=True))
    return (power / power.sum(-1, keepdims=True)).astype(np.float32)


def checked_activation(head: Head, output: np.ndarray, logits: np.ndarray) -> str:
    """The activation to go by, after the network's own output for a photo.

    Args:
        head: what was found by walking back from the output.
        output: float32 (..., classes), the network's own.
        logits: float32 (..., classes), of the same photo.

    Returns:
        That of the head where it gives the network's own probabilities; else "none": the output is to be shown and
        explained as it is. A head without any is "linear", but "none" where the output looks like probabilities.
    """
    if not np.isfinite(output).all() or not np.isfinite(logits).all():
        return head.activation  # whoever asks for a map is told of it
    if head.activation != "linear":
        own = np.exp(output) if head.is_log else output
        return head.activation if np.abs(activated(logits, head.activation) - own).max() <= TOLERANCE else "none"
    is_share = output.shape[-1] > 1 and np.abs(output.sum(-1) - 1).max() <= TOLERANCE
    is_inside = output.min() >= 0 and output.max() <= 1
    return "none" if is_inside and (is_share or head.is_bounded) else "linear"
