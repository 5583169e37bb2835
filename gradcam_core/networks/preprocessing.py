"""How a photo is made ready for a network: by a function, by a range, or as a network of the zoo wants it."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, overload

from ..errors import NetworkError, SettingError
from .zoo import find

if TYPE_CHECKING:
    import numpy as np

Preprocess = Callable[["np.ndarray"], "np.ndarray"]


def _as_it_is(batch: "np.ndarray") -> "np.ndarray":
    return batch


def _to_one(batch: "np.ndarray") -> "np.ndarray":
    return batch / 255


def _around_zero(batch: "np.ndarray") -> "np.ndarray":
    return batch / 127.5 - 1


RANGES: dict[str, Preprocess] = {"0..1": _to_one, "-1..1": _around_zero, "none": _as_it_is}


def in_words(asked: str | Preprocess | None) -> str:
    """How a photo's values are made ready, as the end of "They are given".

    >>> in_words("0..1"), in_words("vgg16"), in_words(None)
    ('from 0 to 1', 'as VGG16 takes them', 'from 0 to 255')
    """
    if asked is None:
        return "from 0 to 255"
    if not isinstance(asked, str):
        return "as a function of its own prepares them"
    known = {"0..1": "from 0 to 1", "-1..1": "from -1 to 1", "none": "from 0 to 255"}
    return known.get(asked.strip().lower()) or f"as {find(asked).name} takes them"


@overload
def preprocessing(asked: str | Preprocess) -> Preprocess: ...
@overload
def preprocessing(asked: None) -> None: ...
def preprocessing(asked: str | Preprocess | None) -> Preprocess | None:
    """The function that is meant: itself, a range by its name, or that of a network of the zoo.

    Raises:
        SettingError: nothing has that name.

    >>> import numpy as np
    >>> preprocessing("-1..1")(np.float32([0, 255])).tolist()
    [-1.0, 1.0]
    """
    if not isinstance(asked, str):
        return asked
    if (name := asked.strip().lower()) in RANGES:
        return RANGES[name]
    try:
        module = find(asked).module
    except NetworkError as error:
        raise SettingError(
            f"There is no preprocessing {asked!r}. There is: {', '.join(RANGES)}, and the name of each network whose "
            f"own it is, such as VGG16. {error}"
        ) from error
    prepare = importlib.import_module(module).preprocess_input
    # Keras' own goes by keras.json, in which a user may have set channels first.
    takes_format = "data_format" in inspect.signature(prepare).parameters
    return _channels_last(prepare) if takes_format else prepare


@cache  # the same function each time: it is part of what a loaded network is known by
def _channels_last(prepare: Callable[..., "np.ndarray"]) -> Preprocess:
    return partial(prepare, data_format="channels_last")


def with_ranges(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command line, in which a range that begins with a minus is not taken for an option.

    >>> with_ranges(["--preprocess", "-1..1", "a.jpg"])
    ['--preprocess=-1..1', 'a.jpg']
    """
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] == "--preprocess" and word == "-1..1":
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
