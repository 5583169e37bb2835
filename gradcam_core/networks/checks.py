"""Whether a model gives what can be explained, and a preprocessing what it takes; else it is refused in a sentence."""

from collections.abc import Callable

import keras
import numpy as np

from ..capture.feeding import Feed
from ..capture.head import HANDS_ON, is_grid
from ..capture.recording import Recording, record
from ..errors import GradcamError, NetworkError, SettingError
from .inputs import Input, no_image


def refuse_strangers(name: object, model: object) -> None:
    """Raise a NetworkError where something else is given in the place of a model of Keras 3, or of its name."""
    if not isinstance(name, str):
        raise NetworkError(f"A network is called by a text, and not by {_kind(name)}: Classifier(name, model).")
    if isinstance(model, keras.Model):
        return
    if any(origin.__module__.partition(".")[0] == "tf_keras" for origin in type(model).__mro__):
        raise NetworkError(
            f"{name} is a model of Keras 2 (tf_keras), and one of Keras 3 is needed. Save it with "
            'model.save("network.h5"), and load that file.'
        )
    raise NetworkError(
        f"{name} is {_kind(model)}, and not a model of Keras 3. Give a model, the name of a network, or the path of a "
        "file."
    )


def _kind(value: object) -> str:
    if value is None or isinstance(value, str | int | float):
        return repr(value)[:80]
    return f"an object of {type(value).__module__}.{type(value).__name__}"


def recorded(name: str, model: keras.Model, feed: Feed, image: Input, size: tuple[int, int]) -> Recording:
    """The model as it was traced on photos of this size; an error where it cannot take them, or gives no scores."""
    try:
        found = record(model, (image.shape[0], *size, image.channels), feed)
    except GradcamError:
        raise
    except Exception as error:  # a layer of anybody's may raise anything
        if image.is_guess:
            raise no_image(name) from error
        sides, what = "{} x {}".format(*size), (str(error).strip() or type(error).__name__).splitlines()[0]
        if None in image.sides:
            sentence = f"{name} cannot take photos of {sides} pixels: {what} Give another input size."
            raise SettingError(sentence) from error
        raise NetworkError(f"{name} cannot be run on a photo of {sides} pixels: {what}") from error
    shape = tuple(found.output.shape)
    if None in shape[1:] or (any(side != 1 for side in shape[1:-1]) and not is_grid(found.output)):
        raise NetworkError(
            f"{name} gives {shape}; one score for each class, (batch, classes), or one for each class and pixel, "
            "(batch, height, width, classes), is needed."
        )
    return found


# Operations that leave no score, and so no gradient.
_DECIDES = {
    "ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "GreaterEqual", "InTopKV2", "Less", "LessEqual",
    "LogicalAnd", "LogicalNot", "LogicalOr", "NotEqual", "OneHot", "Rint", "Round", "Sign",
}  # fmt: skip


def refuse_decisions(name: str, recording: Recording) -> None:
    """Raise a NetworkError where a network gives the class it decided for, and no scores."""
    output = recording.output
    while output.op.type in HANDS_ON or output.op.type == "StridedSlice":
        output = output.op.inputs[output.value_index if output.op.type == "IdentityN" else 0]
    is_index = output.op.type in ("TopK", "TopKV2") and output.value_index == 1
    if output.op.type in _DECIDES or is_index or output.dtype.is_integer or output.dtype.is_bool:
        raise NetworkError(
            f"{name} gives what it decided for ({output.op.type}), and no score of which a map could be made. Make a "
            "model that ends before that: keras.Model(model.inputs, scores)."
        )


def tried(name: str, run: Callable[[], object]) -> None:
    """Raise a SettingError where a model cannot be run with the values that its other inputs are given.

    Args:
        name: of the network.
        run: one photo through the model.
    """
    try:
        run()
    except GradcamError:
        raise
    except Exception as error:  # a number of a class that there is not, a division by zero, ...
        cause = str(error).partition("[[{{node")[0].strip()  # TensorFlow's stands before the place in its graph
        what = (cause or type(error).__name__).splitlines()[-1]
        raise SettingError(f"{name} cannot be run with these values of its other inputs: {what}") from error


def prepared(name: str, preprocess: Callable[[np.ndarray], np.ndarray], batch: np.ndarray) -> np.ndarray:
    """What a visitor's own preprocessing makes of a photo, float32 of the same shape.

    Args:
        name: of the network.
        preprocess: float32 (1, h, w, c) -> what the model takes.
        batch: float32 (1, h, w, c); it may be changed.

    Raises:
        SettingError: it fails, or gives nothing, another shape, or values that are not numbers.
    """
    shape = batch.shape
    if not callable(preprocess):
        raise SettingError(
            f"The preprocessing of {name} is a function of a batch {shape}, RGB from 0 to 255, or the "
            f"name of a network, not {preprocess!r}."
        )
    try:
        found = preprocess(batch)
        values = None if found is None else np.asarray(found, np.float32)
    except Exception as error:  # it is anybody's function
        raise SettingError(f"The preprocessing of {name} fails: {type(error).__name__}: {error}") from error
    if values is None or values.shape != shape:
        given = "nothing (does it lack a return?)" if values is None else f"an array of shape {values.shape}"
        raise SettingError(f"The preprocessing of {name} gives {given}; it must give {shape}, as it gets it.")
    if not np.isfinite(values).all():
        raise SettingError(f"The preprocessing of {name} gives values that are not numbers.")
    return values
