"""Networks of KerasHub bring their own preprocessing: how photos are scaled, and the size they are made for.

KerasHub itself is not imported here. Whoever has such a network has it, and a file that needs it says so.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

    Preprocess = Callable[[np.ndarray], np.ndarray]

MISSING = "is a network of KerasHub, which is not installed. Install it with: pip install keras-hub"


def own_settings(
    model: "keras.Model", input_size: tuple[int, int] | None, preprocess: "Preprocess | None"
) -> "tuple[tuple[int, int] | None, Preprocess | None]":
    """The input size and the preprocessing to use: those that are given, or else those of a task of KerasHub.

    A task crops photos of another form to the one it takes. Here the whole photo is brought to the size first, as for
    every network, so that nothing of it is lost; then the task only scales the colours, and a map lies where it was.

    Args:
        model: any model; only a task has a preprocessor of its own.
        input_size, preprocess: as for `Classifier`.
    """
    is_task = any(base.__module__.startswith("keras_hub.") for base in type(model).__mro__)
    preprocessor = getattr(model, "preprocessor", None) if is_task else None
    if preprocess is not None or preprocessor is None:
        return input_size, preprocess
    if not hasattr(preprocessor, "image_converter"):  # a function of somebody's own
        return input_size, preprocessor
    converter = preprocessor.image_converter
    if converter is None:
        return input_size, None
    if input_size is None and None in model.inputs[0].shape[1:3]:
        input_size = converter.image_size
    return input_size, type(converter).from_config({**converter.get_config(), "image_size": None})  # leaves sizes alone


def is_missing(error: str) -> bool:
    """Whether Keras' words for a file that cannot be opened mean that KerasHub is needed and not here."""
    return "parent module keras_hub" in error
