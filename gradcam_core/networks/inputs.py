"""What a model takes: its inputs, which of them is the image, and what the others are given."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from ..capture.feeding import IMAGE, Feed, constant
from ..errors import NetworkError, SettingError

Values = Mapping[str | int, Any]


@dataclass(frozen=True)
class Input:
    """One input of a model.

    Attributes:
        name: as the model calls it; "" where it has one without a name.
        shape: with an axis for the photos first, None where anything goes; empty where it is not known.
        dtype: of its values; None where it is not known.
        usual: the usual (height, width) of an image of any size.
        is_guess: whether the shape is that of a layer inside, and not what the model says.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str | None = "float32"
    usual: tuple[int, int] = (224, 224)
    is_guess: bool = False

    @property
    def is_channels_first(self) -> bool:
        """Whether an image is (n, c, h, w): where the second axis is that of colours, and the last is not."""
        return len(self.shape) == 4 and self.shape[1] in (1, 3) and (self.shape[3] is None or self.shape[3] > 4)

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """(height, width) of an image."""
        height, width = self.shape[2:] if self.is_channels_first else self.shape[1:3]
        return height, width

    @property
    def channels(self) -> int | None:
        """Of an image."""
        return self.shape[1 if self.is_channels_first else 3]

    def __str__(self) -> str:
        return f"{self.name} {self.shape or ''}".strip()


@dataclass(frozen=True)
class Inputs:
    """All inputs of a model, in the structure that its call takes them in.

    Attributes:
        positional: a structure of `Input`, or None.
        named: the same for arguments by name.
    """

    positional: Any
    named: Mapping[str, Any]

    @property
    def all(self) -> list[Input]:
        """In the model's order."""
        return [one for one in keras.tree.flatten((self.positional, dict(self.named))) if one is not None]


def inputs_of(name: str, model: object) -> Inputs:
    """The inputs of a model; a NetworkError where it is none of Keras that has been built."""
    if not isinstance(model, keras.Model) or not model.built:
        raise NetworkError(
            f"{name} is not a Keras model that has been built, so nobody can look inside. Build it with "
            "keras.Model(inputs, outputs), keras.Sequential with an Input, or by calling a model of one's own once."
        )
    if getattr(model, "inputs", None):
        several = len(model.inputs) > 1

        def seen(tensor: keras.KerasTensor) -> Input:
            return Input(tensor.name if several else "", tuple(tensor.shape), tensor.dtype)

        structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        return Inputs(keras.tree.map_structure(seen, structure), {})
    config = model.get_build_config() or {}
    if "shapes_dict" in config:
        named = {key.removesuffix("_shape"): shape for key, shape in config["shapes_dict"].items() if shape}
        return Inputs(None, {key: _built_for(shape, key) for key, shape in named.items()})
    also = {key: Input(key, (), None) for key in _also_needed(model)}
    if "input_shape" not in config and not also:
        return Inputs(_guessed(model), {})
    return Inputs(_built_for(config.get("input_shape"), ""), also)


def _guessed(model: keras.Model) -> Input | None:
    """The largest image, grey or in colours, that a layer inside a model was built for.

    Keras forgets what the model itself was built for where it cannot trace its call, as with a layer "first conv".
    """
    layers = model._flatten_layers(include_self=False)
    shapes = [(layer.get_build_config() or {}).get("input_shape") for layer in layers]
    images = [shape for shape in shapes if isinstance(shape, list | tuple) and len(shape) == 4 and all(shape[1:])]
    grey_or_rgb = [shape for shape in images if shape[3] in (1, 3)]
    largest = max(grey_or_rgb, key=lambda shape: (shape[1] * shape[2], shape[3]), default=None)
    return replace(_built_for(largest, ""), is_guess=True) if largest else None


def _also_needed(model: keras.Model) -> list[str]:
    """The arguments of a model's own ``call`` without which it cannot be called, after the first."""
    arguments = list(inspect.signature(type(model).call).parameters.values())[2:]  # without the model and the first
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [one.name for one in arguments if one.default is one.empty and one.kind in kinds]
    return [name for name in needed if name not in ("training", "mask")]


def _built_for(shape: Any, name: str) -> Any:  # noqa: ANN401
    """The inputs that a model with a ``call`` of its own was built for, of any size where they are images."""
    if isinstance(shape, Mapping):
        return {key: _built_for(one, str(key)) for key, one in shape.items()}
    if not isinstance(shape, list | tuple):
        return None
    if any(isinstance(side, list | tuple | Mapping) for side in shape):
        return [_built_for(one, f"{name}{i}") for i, one in enumerate(shape)]
    if len(shape) != 4:
        return Input(name, (None, *shape[1:]))
    given = Input(name, tuple(shape))
    free = (None, shape[1], None, None) if given.is_channels_first else (None, None, None, shape[3])
    height, width = given.sides
    return Input(name, free, usual=(height or 224, width or 224))


def image_of(name: str, inputs: Inputs, asked: str | int | None) -> Input:
    """The input that takes the photo.

    Raises:
        NetworkError: it has none that takes an image, or several.
        SettingError: it has no input of that name or place, or one that takes no image.
    """
    images = [one for one in inputs.all if len(one.shape) == 4 and one.channels is not None]
    if asked is not None:
        found = _by_name(name, inputs, asked, "image=")
        if found not in images:
            raise SettingError(f"The input {asked!r} of {name} takes {found}, which is no image.")
        return found
    if len(images) == 1:
        return images[0]
    listed = ", ".join(map(str, inputs.all)) or "inputs of unknown shape"
    if images:
        raise NetworkError(
            f"{name} takes {len(images)} images: {listed}. Say by image= which one is explained, and give the others "
            "by inputs=."
        )
    what = {3: " Signals and sequences", 5: " Volumes"}.get(max((len(one.shape) for one in inputs.all), default=0), "")
    raise no_image(name, listed, what)


def no_image(name: str, listed: str = "inputs of unknown shape", what: str = "") -> NetworkError:
    """That a network takes something else: its inputs, listed, and what they are for."""
    return NetworkError(
        f"{name} takes {listed}; an image of shape (batch, height, width, channels) is needed."
        + (f"{what} are not explained." if what else "")
    )


def _by_name(name: str, inputs: Inputs, asked: str | int, where: str) -> Input:
    everything = inputs.all
    if isinstance(asked, int) and not isinstance(asked, bool) and 0 <= asked < len(everything):
        return everything[asked]
    for one in everything:
        if one.name == asked:
            return one
    raise SettingError(f"{name} has no input {asked!r} ({where}). It takes {', '.join(map(str, everything))}.")


def fed(
    name: str,
    inputs: Inputs,
    image: Input,
    given: Values | None,
    output: str | int | None,
    as_image: Callable[[object, Input], np.ndarray | None],
) -> Feed:
    """How the model is called: with the image where it goes, and what is given for the other inputs.

    Args:
        name: of the network.
        inputs: what it takes.
        image: the one that takes the photo.
        given: a value for each other input, by its name or place.
        output: the one that is explained.
        as_image: makes a value that is a photo ready for an input; None where it is none.

    Raises:
        SettingError: a value is missing, of another shape, or for no input that there is.
    """
    if given is not None and not isinstance(given, Mapping):
        raise SettingError(f"inputs= is a dict of a value for each other input of {name}, not {type(given).__name__}.")
    values: dict[int, np.ndarray] = {}
    for key, value in (given or {}).items():
        one = _by_name(name, inputs, key, "inputs=")
        if one is image:
            raise SettingError(f"The input {key!r} of {name} takes the photo; inputs= gives the others.")
        ready = as_image(value, one) if len(one.shape) == 4 else None
        try:
            ready = constant(value, one.shape or None, one.dtype) if ready is None else ready
            is_of = f"a value of shape {np.shape(value)}"
        except (TypeError, ValueError, OverflowError):
            is_of = repr(value)
        if ready is None:
            wanted = f"numbers of shape {one.shape[1:]}" if one.shape else "numbers"
            raise SettingError(f"The input {key!r} of {name} takes {wanted}, not {is_of[:200]}.")
        values[id(one)] = ready
    missing = [one for one in inputs.all if one is not image and id(one) not in values]
    if missing:
        raise SettingError(
            f"{name} also takes {', '.join(map(str, missing))}: give inputs={{{missing[0].name!r}: value}}, a value "
            "for each."
        )

    def argument(one: Input) -> object:
        return IMAGE if one is image else values[id(one)]

    positional = None if inputs.positional is None else keras.tree.map_structure(argument, inputs.positional)
    named = {key: keras.tree.map_structure(argument, one) for key, one in inputs.named.items()}
    return Feed(positional, named, image.dtype or "float32", image.is_channels_first, output)


def kept(given: Values | None) -> Values | None:
    """Values of inputs as they are now: the caller may change its arrays later, and what is open is read once."""
    if not isinstance(given, Mapping):
        return given
    found = dict(given)
    for key, one in given.items():
        with suppress(TypeError):  # what cannot be copied
            found[key] = deepcopy(one)
    return found


def chosen_size(name: str, image: Input, asked: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) that was asked for, or that the model has; a SettingError where both do not go together."""
    own = image.sides
    size = tuple(side or usual for side, usual in zip(own, image.usual, strict=True)) if asked is None else asked
    is_size = isinstance(size, list | tuple) and [type(side) for side in size] == [int, int] and min(size) >= 1
    if not is_size:
        raise SettingError(f"The input size is (height, width) in whole pixels from 1 up, not {asked!r}.")
    if any(side not in (None, given) for side, given in zip(own, size, strict=True)):
        raise SettingError(f"{name} takes photos of {own}, (height, width), and no others. Leave the input size out.")
    height, width = size
    return height, width


def chosen_channels(name: str, channels: int, asked: Sequence[int] | None) -> tuple[int, int, int]:
    """The channels that stand for red, green and blue in pictures; the first three where none were asked for.

    Raises:
        SettingError: they are not three of those that the model takes.
    """
    if asked is None:
        return (0, 1, 2) if channels >= 3 else (0, 0, 0)
    found = tuple(asked) if isinstance(asked, list | tuple) else ()
    if channels in (1, 3) or len(found) != 3 or any(type(i) is not int or not 0 <= i < channels for i in found):
        which = "which are shown as they are" if channels in (1, 3) else f"three of 0 to {channels - 1} are shown"
        raise SettingError(f"{name} takes {channels} channels, {which}; shown= cannot be {asked!r}.")
    red, green, blue = found
    return red, green, blue
