"""A Keras network together with what it takes to use it: its input, its preprocessing, its class names."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from ..capture import graph, layers
from ..errors import NetworkError, SettingError, TargetError
from ..settings import check_count

Preprocess = Callable[[np.ndarray], np.ndarray]
LabelSource = Sequence[str | tuple[str, str]]

DEFAULT_SIDE = 224  # for networks that take any size
_LONGEST = 200  # characters of a class: the nearest names to a long text take long to find
KEPT_TRACES = 16


@dataclass(frozen=True)
class Label:
    """One class: its index in the network's output, its WordNet id (None where it has none) and its name."""

    index: int
    wordnet_id: str | None
    name: str


@dataclass(frozen=True)
class Prediction:
    """One class and its probability in [0, 1] for one photo."""

    index: int
    wordnet_id: str | None
    name: str
    probability: float


class Classifier:
    """A Keras image classifier, ready to be asked and explained. The model inside is never changed.

    Args:
        name: what to call it.
        model: a functional or sequential Keras model, one RGB image in, one vector of class scores out: logits,
            or their softmax, or their sigmoid. A single sigmoid output counts as two classes.
        labels: a name for each class, or (WordNet id, name) pairs; None gives "class 0", "class 1", ...
        input_size: (height, width) in pixels; None takes the model's own, or 224 where it takes any size.
        preprocess: float32 RGB (1, h, w, 3) in 0..255 -> what the model takes; None where the model does it.

    Raises:
        NetworkError: the model is no image classifier that can be explained, or the labels do not fit it.
        SettingError: the input size is none, or not one that the model takes.
    """

    def __init__(
        self,
        name: str,
        model: keras.Model,
        labels: LabelSource | None = None,
        input_size: tuple[int, int] | None = None,
        preprocess: Preprocess | None = None,
    ) -> None:
        _check_model(name, model)
        self.name = name
        self.model = model
        self.activation = graph.head_activation(model)
        outputs = int(np.prod(model.outputs[0].shape[1:]))
        self.is_binary = outputs == 1
        self.labels = _labels(name, labels, 2 if self.is_binary else outputs)
        self.input_size = _input_size(name, model, input_size)
        self.parameters: int = model.count_params()
        self._preprocess = preprocess
        self._traces: OrderedDict[tuple, Callable[..., Any]] = OrderedDict()
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Classifier({self.name!r}, {len(self.labels)} classes, input {self.input_size})"

    @cached_property
    def layers(self) -> tuple[layers.Layer, ...]:
        """The layers that can be explained, in network order."""
        with self._lock:
            return layers.find(self.model, self.input_size)

    @cached_property
    def cam_layer(self) -> str | None:
        """The layer that CAM can explain, if there is one: see `layers.cam_layer`."""
        with self._lock:
            return layers.cam_layer(self.model, self.input_size)

    def resized(self, photo: np.ndarray) -> np.ndarray:
        """The whole photo at the input size: uint8 (h, w, 3) from uint8 (H, W, 3).

        The aspect ratio is not kept, so the way back is exact: a map stretched over the photo lies where it was.
        """
        height, width = self.input_size
        # INTER_AREA averages what it shrinks; a side that grows needs interpolation, so each has its step.
        smaller = (min(width, photo.shape[1]), min(height, photo.shape[0]))
        image = cv2.resize(photo, smaller, interpolation=cv2.INTER_AREA)
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)

    def to_input(self, photo: np.ndarray) -> np.ndarray:
        """The photo as the model takes it: `resized`, and preprocessed on a copy.

        Args:
            photo: uint8 (H, W, 3), RGB.

        Returns:
            float32 (1, h, w, 3).
        """
        batch = self.resized(photo)[np.newaxis].astype(np.float32)
        return batch if self._preprocess is None else np.asarray(self._preprocess(batch), np.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """float32 (classes,) in [0, 1] from float32 (classes,) logits, by the model's own activation."""
        logits = logits.astype(np.float64)
        if self.activation == "sigmoid" and not self.is_binary:
            return (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32)  # the sigmoid, without overflow
        power = np.exp(logits - logits.max())
        return (power / power.sum()).astype(np.float32)

    def top(self, probabilities: np.ndarray, count: int = 5) -> tuple[Prediction, ...]:
        """The ``count`` most probable classes, most probable first."""
        order = np.argsort(-probabilities, kind="stable")[:count]
        return tuple(self.prediction(int(index), probabilities) for index in order)

    def prediction(self, index: int, probabilities: np.ndarray) -> Prediction:
        """One class with its probability."""
        label = self.labels[index]
        return Prediction(label.index, label.wordnet_id, label.name, float(probabilities[index]))

    def predict(self, photo: np.ndarray, top: int = 5) -> tuple[Prediction, ...]:
        """The ``top`` most probable classes of a photo, most probable first.

        Args:
            photo: uint8 (H, W, 3), RGB, as `read_image` gives it.
            top: how many classes.

        Raises:
            SettingError: top is not a whole number from 1 up.
        """
        check_count("predictions", top)
        return self.top(self.probabilities(self.predict_logits(self.to_input(photo))[0]), top)

    def predict_logits(self, batch: np.ndarray) -> np.ndarray:
        """The logits of many photos in one pass, compiled at first use and kept.

        Args:
            batch: float32 (n, h, w, 3), each as `to_input` gives it.

        Returns:
            float32 (n, classes).

        Raises:
            NetworkError: some of them are not numbers.
        """
        with self._lock:
            forward = self._forward
        logits = forward(tf.constant(batch)).numpy()
        check_finite(self.name, logits)
        return logits

    @cached_property
    def _forward(self) -> Callable[[tf.Tensor], tf.Tensor]:
        signature = [tf.TensorSpec((None, *self.input_size, 3), tf.float32)]
        return tf.function(self.logits, input_signature=signature, autograph=False).get_concrete_function()

    def logits(self, batch: tf.Tensor, **watch: Callable[..., Any]) -> tf.Tensor:
        """float32 (n, classes), as part of a graph that is being traced.

        One sigmoid output z stands for two classes: it is a softmax over (-z/2, z/2), which gives the same
        probabilities, and evidence for both.

        Args:
            batch: float32 (n, h, w, 3), each as `to_input` gives it.
            watch: ``visit`` and ``after`` of `capture.graph.run`, which are shown every operation.
        """
        outputs = graph.run(self.model, batch, **watch)
        return tf.concat([-outputs / 2, outputs / 2], axis=-1) if self.is_binary else outputs

    def compiled(self, key: tuple, compile_pass: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """A pass through the network by its key, compiled at first use; the least recently used are forgotten."""
        with self._lock:
            if key not in self._traces:
                self._traces[key] = compile_pass()
            self._traces.move_to_end(key)
            if len(self._traces) > KEPT_TRACES:
                self._traces.popitem(last=False)
            return self._traces[key]

    def resolve_target(self, target: int | str | None) -> int | None:
        """The index of the class meant by an index, a name or a WordNet id; None stays None (the top class).

        Names are compared without case, and with "_" as a space.

        Raises:
            TargetError: no class, or more than one, is meant; the nearest names are listed with their indices.
        """
        if target is None:
            return None
        if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
            if 0 <= target < len(self.labels):
                return int(target)
            asked = target if abs(target) < 1e15 else "what was asked for"  # Python prints no endless number
            raise TargetError(f"{self.name} has the classes 0 to {len(self.labels) - 1}; {asked} is not one of them.")
        if not isinstance(target, str) or not target.strip():
            raise TargetError("The class is given as an index, a name or a WordNet id.")
        if len(target) > _LONGEST:
            raise TargetError(f"The class is given by a text of up to {_LONGEST} characters, not {len(target)}.")
        wanted = _fold(target)
        matches = [label for label in self.labels if wanted in (_fold(label.name), label.wordnet_id)]
        if len(matches) == 1:
            return matches[0].index
        if matches:
            raise TargetError(
                f"{target!r} names {len(matches)} classes of {self.name}: {_listed(matches)}. Give the index."
            )
        if wanted.isdecimal():
            return self.resolve_target(int(wanted))
        folded = {_fold(label.name): label for label in reversed(self.labels)}
        near = [label for name, label in folded.items() if wanted in name.split()]
        near += [folded[name] for name in get_close_matches(wanted, folded, n=5, cutoff=0.5)]
        near += [label for name, label in folded.items() if wanted in name]
        hint = (
            f" Nearest: {_listed(list(dict.fromkeys(near))[:5])}." if near else " Give its index, name or WordNet id."
        )
        raise TargetError(f"{self.name} knows no class {target!r}.{hint}")


def check_finite(name: str, *arrays: np.ndarray) -> None:
    """Raise a NetworkError where what the network of this name gives holds values that are not numbers."""
    if not all(np.isfinite(values).all() for values in arrays):
        raise NetworkError(
            f"{name} gives values that are not numbers for this photo, so nothing can be explained. "
            "Its weights or its preprocessing do not fit."
        )


def _fold(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _listed(labels: Sequence[Label]) -> str:
    return ", ".join(f"{label.name} ({label.index})" for label in labels)


def _labels(name: str, labels: LabelSource | None, count: int) -> tuple[Label, ...]:
    if labels is None:
        labels = [f"class {index}" for index in range(count)]
    if len(labels) != count:
        raise NetworkError(
            f"{name} has {count} classes, but {len(labels)} names were given. Give one name for each class."
        )
    pairs: list[Any] = [(None, label) if isinstance(label, str) else label for label in labels]
    return tuple(Label(index, wordnet_id, text) for index, (wordnet_id, text) in enumerate(pairs))


def _input_size(name: str, model: keras.Model, asked: tuple[int, int] | None) -> tuple[int, int]:
    own = tuple(model.inputs[0].shape[1:3])
    size = tuple(side or DEFAULT_SIDE for side in own) if asked is None else asked
    is_size = isinstance(size, Sequence) and [type(side) for side in size] == [int, int] and min(size) >= 1
    if not is_size:
        raise SettingError(f"The input size is (height, width) in whole pixels from 1 up, not {asked!r}.")
    if any(side not in (None, given) for side, given in zip(own, size, strict=True)):
        raise SettingError(f"{name} takes photos of {own}, (height, width), and no others. Leave the input size out.")
    height, width = size
    if None in own:
        _try_size(name, model, (height, width))
    return height, width


def _try_size(name: str, model: keras.Model, size: tuple[int, int]) -> None:
    try:
        graph.run_shapes(model, keras.KerasTensor((1, *size, 3), model.inputs[0].dtype), lambda *_: None)
    except ValueError as error:
        sides, what = "{} x {}".format(*size), str(error).splitlines()[0]
        raise SettingError(f"{name} cannot take photos of {sides} pixels: {what} Give another input size.") from error


def _check_model(name: str, model: keras.Model) -> None:
    if graph.functional(model) is None:
        raise NetworkError(
            f"{name} is not a functional or sequential Keras model that has been built, so nobody can look inside. "
            "Build it with keras.Model(inputs, outputs), or keras.Sequential with an Input."
        )
    inputs, outputs = model.inputs, model.outputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[-1] != 3:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise NetworkError(f"{name} takes {shapes}; an RGB image of shape (batch, height, width, 3) is needed.")
    shape = tuple(outputs[0].shape)
    if len(outputs) != 1 or None in shape[1:] or any(side != 1 for side in shape[1:-1]):
        shapes = ", ".join(str(tuple(x.shape)) for x in outputs)
        raise NetworkError(f"{name} gives {shapes}; one score for each class, (batch, classes), is needed.")
