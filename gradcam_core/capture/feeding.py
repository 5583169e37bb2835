"""How a batch of images is given to a network: at which of its inputs, with what besides, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from ..errors import NetworkError, SettingError


class _Image:
    """Stands for the image among what a network is called with."""


IMAGE: Final = _Image()


@dataclass(frozen=True, eq=False)
class Feed:
    """How a network is called.

    Attributes:
        positional: what its call is given, a structure of lists and dicts as Keras takes it: `IMAGE` where the images
            go, and arrays without an axis for the photos elsewhere, which are the same for each photo.
        named: the same, by the names of arguments.
        dtype: of the images.
        is_channels_first: whether it takes images as (n, c, h, w).
        output: name or place of the output that is explained; None where there is but one.
    """

    positional: Any = IMAGE
    named: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    is_channels_first: bool = False
    output: str | int | None = None

    def call(self, model: keras.Model, batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """All outputs of the network by name, for images float32 (n, h, w, c)."""
        images = tf.cast(batch, self.dtype)
        images = tf.transpose(images, (0, 3, 1, 2)) if self.is_channels_first else images

        def given(value: object) -> tf.Tensor:
            return images if value is IMAGE else tf.repeat(tf.constant(value)[tf.newaxis], tf.shape(batch)[0], axis=0)

        positional = () if self.positional is None else (keras.tree.map_structure(given, self.positional),)
        outputs = model(*positional, **keras.tree.map_structure(given, dict(self.named)), training=False)
        return _named(model, outputs)

    def chosen(self, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The output that is explained.

        Raises:
            NetworkError: there are several, and none was asked for.
            SettingError: there is none of that name or place.
        """
        if self.output is None and len(outputs) == 1:
            return next(iter(outputs.values()))
        listed = ", ".join(f"{name} {tuple(output.shape)}" for name, output in outputs.items())
        if self.output is None:
            raise NetworkError(f"The network has {len(outputs)} outputs: {listed}. Choose one by output=, its name.")
        by_place = list(outputs.values())
        if isinstance(self.output, int) and not isinstance(self.output, bool) and 0 <= self.output < len(by_place):
            return by_place[self.output]
        if isinstance(self.output, str) and self.output in outputs:
            return outputs[self.output]
        raise SettingError(f"The network has no output {self.output!r}. It has: {listed}.")


PLAIN: Final = Feed()


def _named(model: keras.Model, outputs: Any) -> dict[str, tf.Tensor]:  # noqa: ANN401
    """The outputs by their keys, or by the names of the layers that give them, or else by their places."""
    found: dict[str, tf.Tensor] = {}
    names = getattr(model, "output_names", [])
    for i, (path, output) in enumerate(keras.tree.flatten_with_path(outputs)):
        key = "/".join(map(str, path))
        name = key if any(isinstance(part, str) for part in path) else names[i] if i < len(names) else str(i)
        found[f"{name}:{i}" if name in found else name] = output
    return found


def constant(value: object, shape: tuple[int | None, ...] | None, dtype: str | None) -> np.ndarray | None:
    """What a network is given besides the image, of a shape (n, ...) of which n is left out; None if it has another.

    Where the shape or the type is not known, it is the value's own; numbers with a point are float32.
    """
    found = np.array(value, dtype)  # a copy: the caller may change it later
    if dtype is None and found.dtype == np.float64:
        found = found.astype(np.float32)
    if shape is None:
        return found if found.dtype.kind in "biuf" else None
    wanted = shape[1:]
    if found.ndim == len(wanted) + 1 and found.shape[0] == 1:
        found = found[0]
    if found.ndim == 0 and all(side in (1, None) for side in wanted):
        found = found.reshape((1,) * len(wanted))
    fits = found.ndim == len(wanted) and all(a in (None, b) for a, b in zip(wanted, found.shape, strict=True))
    return found if fits else None
