"""Whether a model, an input size and a preprocessing fit together; what does not is refused in a sentence."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from ..capture.head import HANDS_ON
from ..capture.recording import Recording, record
from ..errors import NetworkError, SettingError


class Taken(NamedTuple):
    """What a model takes: (n, h, w, c), None where anything goes; the type of its values; the usual (h, w)."""

    shape: tuple[int | None, ...]
    dtype: str
    usual: tuple[int, int] = (224, 224)


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


def taken_by(name: str, model: object) -> Taken:
    """What the model takes; a NetworkError where that is no image."""
    if not isinstance(model, keras.Model) or not model.built:
        raise NetworkError(
            f"{name} is not a Keras model that has been built, so nobody can look inside. Build it with "
            "keras.Model(inputs, outputs), keras.Sequential with an Input, or by calling a model of one's own once."
        )
    if getattr(model, "inputs", None):
        found = [Taken(tuple(x.shape), x.dtype) for x in model.inputs]
    else:
        found = [_taken(shape) for shape in _built_for(model)]
    if len(found) != 1 or len(found[0].shape) != 4 or found[0].shape[-1] != 3:
        shapes = ", ".join(str(taken.shape) for taken in found) or "inputs of unknown shape"
        raise NetworkError(f"{name} takes {shapes}; an RGB image of shape (batch, height, width, 3) is needed.")
    return found[0]


def _taken(built_for: tuple[int | None, ...]) -> Taken:
    free: tuple[int | None, ...] = (None,) * (len(built_for) - 1)
    if len(built_for) != 4:
        return Taken((*free, built_for[-1]), "float32")
    _, height, width, channels = built_for
    return Taken((*free, channels), "float32", (height or 224, width or 224))


def _built_for(model: keras.Model) -> list[tuple[int | None, ...]]:
    """The shapes that a model with a ``call`` of its own was built for."""
    config = model.get_build_config() or {}
    shapes = config.get("shapes_dict", {"input": config.get("input_shape")}).values()
    return [tuple(shape) for shape in shapes if shape]


def chosen_size(name: str, taken: Taken, asked: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) that was asked for, or that the model has; a SettingError where both do not go together."""
    own = taken.shape[1:3]
    size = tuple(side or usual for side, usual in zip(own, taken.usual, strict=True)) if asked is None else asked
    is_size = isinstance(size, Sequence) and [type(side) for side in size] == [int, int] and min(size) >= 1
    if not is_size:
        raise SettingError(f"The input size is (height, width) in whole pixels from 1 up, not {asked!r}.")
    if any(side not in (None, given) for side, given in zip(own, size, strict=True)):
        raise SettingError(f"{name} takes photos of {own}, (height, width), and no others. Leave the input size out.")
    height, width = size
    return height, width


def recorded(name: str, model: keras.Model, taken: Taken, size: tuple[int, int]) -> Recording:
    """The model as it was traced on photos of this size; an error where it cannot take them, or gives no scores."""
    try:
        found = record(model, (taken.shape[0], *size, taken.shape[-1]), taken.dtype)
    except Exception as error:  # a layer of anybody's may raise anything
        sides, what = "{} x {}".format(*size), (str(error).strip() or type(error).__name__).splitlines()[0]
        if None in taken.shape[1:3]:
            sentence = f"{name} cannot take photos of {sides} pixels: {what} Give another input size."
            raise SettingError(sentence) from error
        raise NetworkError(f"{name} cannot be run on a photo of {sides} pixels: {what}") from error
    shapes = [tuple(output.shape) for output in found.outputs]
    if len(shapes) != 1 or None in shapes[0][1:] or any(side != 1 for side in shapes[0][1:-1]):
        listed = ", ".join(map(str, shapes))
        raise NetworkError(f"{name} gives {listed}; one score for each class, (batch, classes), is needed.")
    return found


# Operations that leave no score, and so no gradient.
_DECIDES = {
    "ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "GreaterEqual", "InTopKV2", "Less", "LessEqual",
    "LogicalAnd", "LogicalNot", "LogicalOr", "NotEqual", "OneHot", "Rint", "Round", "Sign",
}  # fmt: skip


def refuse_decisions(name: str, recording: Recording) -> None:
    """Raise a NetworkError where a network gives the class it decided for, and no scores."""
    (output,) = recording.outputs
    while output.op.type in HANDS_ON or output.op.type == "StridedSlice":
        output = output.op.inputs[output.value_index if output.op.type == "IdentityN" else 0]
    is_index = output.op.type in ("TopK", "TopKV2") and output.value_index == 1
    if output.op.type in _DECIDES or is_index or output.dtype.is_integer or output.dtype.is_bool:
        raise NetworkError(
            f"{name} gives what it decided for ({output.op.type}), and no score of which a map could be made. Make a "
            "model that ends before that: keras.Model(model.inputs, scores)."
        )


def prepared(name: str, preprocess: Callable[[np.ndarray], np.ndarray], batch: np.ndarray) -> np.ndarray:
    """What a visitor's own preprocessing makes of a photo, float32 of the same shape.

    Args:
        name: of the network.
        preprocess: float32 (1, h, w, 3) -> what the model takes.
        batch: float32 (1, h, w, 3); it may be changed.

    Raises:
        SettingError: it fails, or gives nothing, another shape, or values that are not numbers.
    """
    shape = batch.shape
    if not callable(preprocess):
        raise SettingError(
            f"The preprocessing of {name} is a function of a batch (1, height, width, 3) of RGB from 0 to 255, or the "
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
