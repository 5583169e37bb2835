"""A Keras network together with what it takes to use it: its input, its preprocessing, its class names."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from ..capture import layers
from ..capture.recording import Recording, compiled, record
from ..errors import NetworkError, SettingError, TargetError
from ..photos import Source, read_image
from ..settings import check_count
from .checks import chosen_size, prepared, recorded, refuse_decisions, refuse_strangers, taken_by
from .labels import Label, LabelSource, Name, labelled, names_of
from .measures import MEASURES, Measure, Prediction, trained_for
from .preprocessing import Preprocess, preprocessing
from .ranges import SUGGESTS, rescales, suggested
from .reading import AS_THEY_ARE, LOST, ONE_VALUE, activated, checked_activation

_LONGEST = 200  # characters of a class: the nearest names to a long text take long to find
KEPT_PASSES = 16


class Classifier:
    """A Keras image classifier, ready to be asked and explained. The model inside is never changed.

    Args:
        name: what to call it.
        model: a Keras model of any kind that has been built: one RGB image in, one vector of class scores out, which
            are logits, or their softmax, or their sigmoid. A single sigmoid output counts as two classes.
            One linear output is a value (an age, an angle), unless two names make it the logit of two classes.
        labels: a name for each class, as `load` takes them; None gives "class 0", "class 1", ...
        input_size: (height, width) in pixels; None takes the model's own, or 224 where it takes any size.
        preprocess: float32 RGB (1, h, w, 3) in 0..255 -> what the model takes, or a name as `load` takes it; None
            where the model does it.
        measures: what linear outputs are: "probability" (they are logits) or "value"; None goes by the loss that the
            model was compiled with, or else by their number.

    Attributes:
        measures: what the outputs are shown as.

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
        preprocess: Preprocess | str | None = None,
        measures: Measure | None = None,
    ) -> None:
        refuse_strangers(name, model)
        taken = taken_by(name, model)
        self.name = name
        self.model = model
        self.input_size = chosen_size(name, taken, input_size)
        self.recording = recorded(name, model, taken, self.input_size)
        refuse_decisions(name, self.recording)
        self._dtype = taken.dtype
        self.parameters: int = model.count_params()
        self._preprocess = preprocessing(preprocess)
        self._passes: OrderedDict[tuple, Callable[..., Any]] = OrderedDict()
        self._built = 0
        self._lock = threading.RLock()
        if measures not in (None, *MEASURES):
            raise SettingError(f"What the outputs measure is 'probability' or 'value', not {measures!r}.")
        names = None if labels is None else names_of(labels)
        known = measures or trained_for(getattr(model, "loss", None))
        count = self.recording.outputs[0].shape[1:].num_elements()
        self.measures: Measure = self._measured(known, count, names)
        self.is_binary = count == 1 and self.measures == "probability"
        self._is_guessed = count == 1 and self.measures == "value" and known is None and names is None
        self.labels = labelled(name, names, 2 if self.is_binary else count, self.measures)

    def _measured(self, known: Measure | None, count: int, names: Sequence[Name] | None) -> Measure:
        if known == "probability" or (count == 1 and names is not None and len(names) == 2):
            return "probability"
        return "value" if (known or count == 1) and self.activation == "linear" else "probability"

    def __repr__(self) -> str:
        what = "values" if self.measures == "value" else "classes"
        return f"Classifier({self.name!r}, {len(self.labels)} {what}, input {self.input_size})"

    @cached_property
    def layers(self) -> tuple[layers.Layer, ...]:
        """The layers that can be explained, in network order."""
        return layers.find(self.recording)

    @cached_property
    def cam_layer(self) -> str | None:
        """The layer that CAM can explain, if there is one: see `layers.cam_layer`."""
        return layers.cam_layer(self.recording)

    @cached_property
    def activation(self) -> str:
        """How logits become probabilities: "softmax", "sigmoid" (each alone), "linear" or "none".

        "linear" is a network that ends in logits, whose softmax is shown, or in values. "none" is one whose outputs are
        probabilities and whose logits cannot be found; they are explained as they are. Where the output is not plainly
        one of these, it is found out once, with a photo of noise.
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
        notes += [ONE_VALUE.format(self.name)] if self._is_guessed else []
        if self._preprocess is None and not rescales(self.recording):
            with self._lock:
                better = suggested(self.recording)
            notes += [SUGGESTS.format(self.name, better)] if better else []
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
        """float32 (classes,) in [0, 1] from float32 (classes,) logits: those that the model itself gives.

        Of a network that gives values, the values.
        """
        if self.measures == "value":
            return activated(logits, "none")
        if self.is_binary and self.activation != "none":
            return activated(logits, "softmax")
        return activated(logits, self.activation)

    def top(self, probabilities: np.ndarray, count: int = 5) -> tuple[Prediction, ...]:
        """The ``count`` most probable classes, most probable first; of values the first, in their order."""
        order = np.arange(len(probabilities)) if self.measures == "value" else np.argsort(-probabilities, kind="stable")
        return tuple(self.prediction(int(index), probabilities) for index in order[:count])

    def prediction(self, index: int, probabilities: np.ndarray) -> Prediction:
        """One class with its probability, or one value."""
        label, amount = self.labels[index], float(probabilities[index])
        probability, value = (None, amount) if self.measures == "value" else (amount, None)
        return Prediction(label.index, label.wordnet_id, label.name, probability, value)

    def predict(self, photo: Source, top: int = 5) -> tuple[Prediction, ...]:
        """The ``top`` most probable classes of a photo, most probable first.

        Args:
            photo: anything `read_image` takes.
            top: how many classes.

        Raises:
            PhotoError: the photo cannot be read.
            SettingError: top is not a whole number from 1 up.
        """
        check_count("predictions", top)
        return self.top(self.probabilities(self.predict_logits(self.to_input(read_image(photo)))[0]), top)

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
