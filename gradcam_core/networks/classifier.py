"""A Keras network together with what it takes to use it: its input, its preprocessing, its class names."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from ..capture import layers
from ..capture.recording import Recording, compiled, record
from ..errors import NetworkError, TargetError
from ..settings import check_count
from .checks import chosen_size, prepared, recorded, taken_by
from .keras_hub import own_settings
from .reading import AS_THEY_ARE, LOST, activated, checked_activation

Preprocess = Callable[[np.ndarray], np.ndarray]
LabelSource = Sequence[str | tuple[str, str]]

_LONGEST = 200  # characters of a class: the nearest names to a long text take long to find
KEPT_PASSES = 16


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
        model: a Keras model of any kind that has been built: one RGB image in, one vector of class scores out, which
            are logits, or their softmax, or their sigmoid. A single sigmoid output counts as two classes.
        labels: a name for each class, or (WordNet id, name) pairs; None gives "class 0", "class 1", ...
        input_size: (height, width) in pixels; None takes the model's own, or 224 where it takes any size.
        preprocess: float32 RGB (1, h, w, 3) in 0..255 -> what the model takes; None where the model does it, or is a
            task of KerasHub, which brings its own.

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
        taken = taken_by(name, model)
        input_size, preprocess = own_settings(model, input_size, preprocess)
        self.name = name
        self.model = model
        self.input_size = chosen_size(name, taken, input_size)
        self.recording = recorded(name, model, taken, self.input_size)
        self._dtype = taken.dtype
        outputs = self.recording.outputs[0].shape[1:].num_elements()
        self.is_binary = outputs == 1
        self.labels = _labels(name, labels, 2 if self.is_binary else outputs)
        self.parameters: int = model.count_params()
        self._preprocess = preprocess
        self._passes: OrderedDict[tuple, Callable[..., Any]] = OrderedDict()
        self._built = 0
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Classifier({self.name!r}, {len(self.labels)} classes, input {self.input_size})"

    @cached_property
    def named_layers(self) -> tuple[layers.Layer, ...]:
        """The layers that are explained where they are named, in network order: also normalisations, dropouts, ..."""
        return layers.find(self.recording)

    @cached_property
    def layers(self) -> tuple[layers.Layer, ...]:
        """The layers that are listed, in network order: `named_layers` but those of kind "other"."""
        return tuple(layer for layer in self.named_layers if layer.kind != "other")

    @cached_property
    def cam_layer(self) -> str | None:
        """The layer that CAM can explain, if there is one: see `layers.cam_layer`."""
        return layers.cam_layer(self.recording)

    @cached_property
    def activation(self) -> str:
        """How logits become probabilities: "softmax", "sigmoid" (each alone), "linear" or "none".

        "linear" is a network that ends in logits; their softmax is shown. "none" is one whose outputs are probabilities
        and whose logits cannot be found; they are explained as they are. Where the output is not plainly one of these,
        it is found out once, with a photo of noise.
        """
        if self.recording.head.is_plain:
            return self.recording.head.activation
        noise = np.random.default_rng(0).integers(0, 256, (*self.input_size, 3), np.uint8)
        with self._lock, tf.init_scope():  # it may be asked for while a pass is built
            output, logits = (x.numpy()[0] for x in self._forward(tf.constant(self.to_input(noise))))
        return checked_activation(self.recording.head, output, logits)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a visitor should know of how this network is read: a sentence each."""
        lost = [layer.name for layer in self.layers if layer.preset and layer.place is None]
        notes = [AS_THEY_ARE.format(self.name)] if self.activation == "none" else []
        return (*notes, *([LOST.format(self.name, ", ".join(lost))] if lost else []))

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
        return batch if self._preprocess is None else prepared(self.name, self._preprocess, batch)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """float32 (classes,) in [0, 1] from float32 (classes,) logits: those that the model itself gives."""
        if self.is_binary and self.activation != "none":
            return activated(logits, "softmax")
        return activated(logits, self.activation)

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
        logits = self._paired(forward(tf.constant(batch))[self.activation != "none"]).numpy()
        check_finite(self.name, logits)
        return logits

    @cached_property
    def _forward(self) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """float32 (n, h, w, 3) -> the model's output and its logits, both float32 (n, outputs)."""
        return compiled(self.recording, lambda: [self.recording.rows, self.recording.head.logits])

    def logits(self, recording: Recording) -> tf.Tensor:
        """float32 (n, classes): the logits in a recording of this network, as part of its graph.

        One sigmoid output z stands for two classes: it is a softmax over (-z/2, z/2), which gives the same
        probabilities, and evidence for both.
        """
        return self._paired(recording.rows if self.activation == "none" else recording.head.logits)

    def recorded(self, gradient_of: Mapping[str, str] | None = None) -> Recording:
        """A recording with other gradients, as `capture.recording.record` makes it."""
        return record(self.model, tuple(self.recording.batch.shape), self._dtype, gradient_of)

    def _paired(self, outputs: tf.Tensor) -> tf.Tensor:
        if not self.is_binary:
            return outputs
        both = [1 - outputs, outputs] if self.activation == "none" else [-outputs / 2, outputs / 2]
        return tf.concat(both, axis=-1)

    def kept(self, key: tuple, compile_pass: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """A pass through the network by its key, compiled at first use; the least recently used are forgotten."""
        with self._lock:
            if key not in self._passes:
                self._built += 1
                if self._built > KEPT_PASSES:  # each leaves its gradients in the recording's graph
                    self.recording, self._built = self.recorded(), 1
                self._passes[key] = compile_pass()
            self._passes.move_to_end(key)
            if len(self._passes) > KEPT_PASSES:
                self._passes.popitem(last=False)
            return self._passes[key]

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
