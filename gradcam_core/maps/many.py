"""Many photos at once: what an audit asks of each is answered in batches."""

from collections.abc import Callable, Sequence

import numpy as np

from ..capture.layers import Layer
from ..networks.classifier import Classifier
from ..settings import METHODS
from .explain import check_names, run_of
from .gradients import trace

# float32 (n, h, w, c), float32 (n, classes) -> float32 (n, classes), by layer float32 (n, h, w)
Pass = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, dict[str, np.ndarray]]]


def many(network: Classifier, layers: Sequence[Layer], method: str, score: str, smoothing: str) -> Pass:
    """The pass that explains many photos, each for a sum of scores of its own.

    Args:
        network: a loaded network.
        layers: of it.
        method, score, smoothing: as `explain` takes them. What takes more than one pass goes photo by photo.

    Returns:
        A function of photos, float32 (n, h, w, c), each as `Classifier.to_input` gives it, and the weights of sums of
        scores, float32 (n, classes), of which a row of zeros stands for the most probable class, or for the first
        value. It returns what `Classifier.answers` gives, float32 (n, classes), and the maps by layer, float32
        (n, h, w), signed; and raises a NetworkError where one of the photos gives values that are not numbers.

    Raises:
        SettingError: a name is not known, or they do not go together.
    """
    check_names(method, score, smoothing)
    names = tuple(layer.name for layer in layers)
    is_plain = METHODS[method].is_one_pass and smoothing == "none"
    run = trace(network, names, method, score) if is_plain else run_of(network, layers, method, score, smoothing, None)

    def explained(batch: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        if network.measures == "value":  # none is more probable than another
            weights = np.where(weights.any(1, keepdims=True), weights, np.eye(1, weights.shape[1], dtype=np.float32))
        if is_plain:
            answers, maps = run(batch, weights)
            return answers.reshape(len(batch), -1), dict(maps)
        if not weights.any(1).all():
            best = np.eye(weights.shape[1], dtype=np.float32)[network.predict_logits(batch).argmax(1)]
            weights = np.where(weights.any(1, keepdims=True), weights, best)
        found = [run(batch[i : i + 1], weights[i : i + 1]) for i in range(len(batch))]
        maps = {name: np.concatenate([one[name] for _, one in found]) for name in names}
        return np.stack([answers for answers, _ in found]), maps

    return explained
