"""A Keras network together with what it takes to use it: its input, its preprocessing, its class names."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..capture import layers
from ..capture.head import is_grid
from ..capture.recording import Recording, compiled, record
from ..errors import NetworkError, SettingError
from ..photos import Source
from ..photos.channels import read_channels, resized, to_grey
from ..settings import check_count
from .checks import prepared, recorded, refuse_decisions, refuse_strangers, tried
from .files import file_of, remade
from .inputs import Input, Values, chosen_channels, chosen_size, fed, image_of, inputs_of, kept
from .keras_hub import own_settings
from .labels import LabelSource, Name, index_of, labelled, names_of
from .measures import MEASURES, Measure, Prediction, trained_for
from .preprocessing import Preprocess, in_words, preprocessing
from .ranges import SUGGESTS, rescales, suggested
from .reading import AS_THEY_ARE, LOST, ONE_VALUE, READ_AS, activated, checked_activation

KEPT_PASSES = 16


class Classifier:
    """A Keras image classifier, ready to be asked and explained. The model inside is never changed.

    Args:
        name: what to call it.
        model: a Keras model of any kind that has been built: an image in, one vector of class scores out, which are
            logits, or their softmax, or their sigmoid. A single sigmoid output counts as two classes.
            One linear output is a value (an age, an angle), unless two names make it the logit of two classes.
        labels: a name for each class, as `load` takes them; None gives "class 0", "class 1", ...
        input_size: (height, width) in pixels; None takes the model's own, or 224 where it takes any size.
        preprocess: float32 RGB (1, h, w, 3) in 0..255 -> what the model takes, or a name as `load` takes it; None
            where the model does it, or is a task of KerasHub, which brings its own. A model of one channel gives it
            grey, (1, h, w, 1); one of other counts the values as they are, (1, h, w, c).
        measures: what linear outputs are: "probability" (they are logits) or "value"; None goes by the loss that the
            model was compiled with, or else by their number.
        image: name or place of the input that takes the photo; None where there is but one that can.
        inputs: a value for each other input, by its name or place, the same for all photos: a number or an array
            without an axis for the photos. What takes an image may be given a photo, which is prepared as the other is.
        output: name or place of the output that is explained; None where there is but one.
        shown: the channels that stand for red, green and blue in pictures, where the model takes neither 1 nor 3.

    Attributes:
        activation: how logits become probabilities: "softmax", "sigmoid" (each alone), "linear" or "none". "linear" is
            a network that ends in logits, whose softmax is shown, or in values. "none" is one whose outputs are
            probabilities and whose logits cannot be found; they are explained as they are. Where the output is not
            plainly one of these, it is found out with a photo of noise.
        measures: what the outputs are shown as.
        is_grid: whether it gives scores for each pixel, (n, h, w, classes).

    Raises:
        NetworkError: the model is no image classifier that can be explained, or the labels do not fit it.
        SettingError: an argument is none that goes with the model.
    """

    def __init__(
        self,
        name: str,
        model: keras.Model,
        labels: LabelSource | None = None,
        input_size: tuple[int, int] | None = None,
        preprocess: Preprocess | str | None = None,
        *,
        measures: Measure | None = None,
        image: str | int | None = None,
        inputs: Values | None = None,
        output: str | int | None = None,
        shown: Sequence[int] | None = None,
    ) -> None:
        refuse_strangers(name, model)
        everything = inputs_of(name, model)
        taken = image_of(name, everything, image)
        input_size, self._preprocess = own_settings(model, input_size, preprocessing(preprocess))
        self._values = in_words(self._preprocess if preprocess is None else preprocess)
        self.name = name
        self.model = model
        self.input_size = chosen_size(name, taken, input_size)
        self.channels = taken.channels or 3
        self.shown = chosen_channels(name, self.channels, shown)
        self._how: dict[str, Any] = {"image": image, "inputs": kept(inputs), "output": output, "shown": shown}
        self._feed = fed(name, everything, taken, inputs, output, self._as_other)
        self.recording = recorded(name, model, self._feed, taken, self.input_size)
        refuse_decisions(name, self.recording)
        self.parameters: int = model.count_params()
        self._passes: OrderedDict[tuple, Callable[..., Any]] = OrderedDict()
        self._built = 0
        self._lock = threading.RLock()
        if inputs:
            tried(name, lambda: self._forward(tf.constant(self.to_input(self.blank))))
        self.activation = self._found_activation()
        if measures not in (None, *MEASURES):
            raise SettingError(f"What the outputs measure is {' or '.join(map(repr, MEASURES))}, not {measures!r}.")
        names = None if labels is None else names_of(labels)
        known = measures or trained_for(getattr(model, "loss", None))
        shape = self.recording.output.shape
        self.is_grid = is_grid(self.recording.output)
        count = shape[-1] if self.is_grid else shape[1:].num_elements()
        self.measures: Measure = self._measured(known, count, names)
        self.is_binary = count == 1 and self.measures != "value"
        self._is_guessed = count == 1 and self.measures == "value" and known is None and names is None
        self.labels = labelled(name, names, 2 if self.is_binary else count, self.measures)

    def _measured(self, known: Measure | None, count: int, names: Sequence[Name] | None) -> Measure:
        if self.is_grid:
            if known == "value":
                raise NetworkError(f"{self.name} gives a picture of values; a class for each pixel can be explained.")
            return "share"
        if known == "probability" or (count == 1 and names is not None and len(names) == 2):
            return "probability"
        if known == "share":
            raise SettingError(f"{self.name} gives no class for each pixel, and so no shares of the photo.")
        return "value" if (known or count == 1) and self.activation == "linear" else "probability"

    def __repr__(self) -> str:
        what = "value" if self.measures == "value" else "class"
        what += {"value": "s", "class": "es"}[what] if len(self.labels) > 1 else ""
        return f"Classifier({self.name!r}, {len(self.labels)} {what}, input {self.input_size})"

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
        return layers.cam_layer(self.recording, self.layers)

    def _found_activation(self) -> str:
        if self.recording.head.is_plain:
            return self.recording.head.activation
        noise = np.random.default_rng(0).integers(0, 256, self.blank.shape, np.uint8).astype(self.blank.dtype)
        output, logits = (x.numpy()[0] for x in self._forward(tf.constant(self.to_input(noise))))
        return checked_activation(self.recording.head, output, logits)

    @cached_property
    def about(self) -> str:
        """How this network was read, for people: what it takes, how its values are prepared, and what it gives."""
        height, width = self.input_size
        what = {1: "Photos are brought to grey of", 3: "Photos are brought to"}.get(
            self.channels, f"Arrays of {self.channels} channels are brought to"
        )
        read = self.activation if self.measures == "probability" else self.measures
        given = READ_AS["binary" if self.is_binary and read == "sigmoid" else read]
        return f"{what} {width} x {height} pixels and given {self._values}. {given}"

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a visitor should know of how this network is read: a sentence each."""
        lost = [layer.name for layer in self.layers if layer.preset and layer.place is None]
        notes = [AS_THEY_ARE.format(self.name)] if self.activation == "none" else []
        notes += [ONE_VALUE.format(self.name)] if self._is_guessed else []
        if self._preprocess is None and self.channels in (1, 3) and not rescales(self.recording):
            with self._lock:
                better = suggested(self.recording)
            notes += [SUGGESTS.format(self.name, better)] if better else []
        return (*notes, *([LOST.format(self.name, ", ".join(lost))] if lost else []))

    @property
    def blank(self) -> np.ndarray:
        """An image of the input's size that is 0 everywhere, of the shape and type that `read` gives."""
        channels, dtype = (3, np.uint8) if self.channels in (1, 3) else (self.channels, np.float32)
        return np.zeros((*self.input_size, channels), dtype)

    def read(self, photo: Source) -> np.ndarray:
        """A photo as this network is given it: see `photos.channels.read_channels`."""
        return read_channels(photo, self.channels)

    def resized(self, photo: np.ndarray) -> np.ndarray:
        """The whole photo, (H, W, c), at the input size: (h, w, c)."""
        return resized(photo, self.input_size)

    def to_input(self, photo: np.ndarray) -> np.ndarray:
        """The photo as the model takes it: `resized`, grey where it takes one channel, and preprocessed on a copy.

        Args:
            photo: uint8 (H, W, 3), RGB; float32 (H, W, c) where the model takes c channels, neither 1 nor 3.

        Returns:
            float32 (1, h, w, c).
        """
        return self._prepared(self.resized(photo), self.channels)

    def _prepared(self, image: np.ndarray, channels: int) -> np.ndarray:
        batch = (to_grey(image) if channels == 1 else image.astype(np.float32))[np.newaxis]
        return batch if self._preprocess is None else prepared(self.name, self._preprocess, batch)

    def _as_other(self, value: object, taken: Input) -> np.ndarray | None:
        """What a photo is for another input than the one that is explained, (h, w, c) or (c, h, w)."""
        if isinstance(value, np.ndarray) and value.dtype != np.uint8:
            return None
        size = chosen_size(self.name, taken, None if None not in taken.sides else self.input_size)
        channels = taken.channels or 3
        image = self._prepared(resized(read_channels(value, channels), size), channels)[0]  # type: ignore[arg-type]
        return np.moveaxis(image, -1, 0) if taken.is_channels_first else image

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """float32 (classes,) in [0, 1] from float32 (classes,) logits: those that the model itself gives.

        Of a network that gives values, the values; of one that gives scores for each pixel, the shares of the photo.
        """
        if self.measures != "probability":
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
        how = {"probability": None, self.measures: amount}
        return Prediction(label.index, label.wordnet_id, label.name, **how)

    def predict(self, photo: Source, top: int = 5) -> tuple[Prediction, ...]:
        """The ``top`` most probable classes of a photo, most probable first.

        Args:
            photo: anything `read` takes.
            top: how many classes.

        Raises:
            PhotoError: the photo cannot be read.
            SettingError: top is not a whole number from 1 up.
        """
        check_count("predictions", top)
        return self.top(self.probabilities(self.predict_logits(self.to_input(self.read(photo)))[0]), top)

    def predict_logits(self, batch: np.ndarray) -> np.ndarray:
        """The logits of many photos in one pass, compiled at first use and kept; see `answers`.

        Args:
            batch: float32 (n, h, w, c), each as `to_input` gives it.

        Returns:
            float32 (n, classes).

        Raises:
            NetworkError: some of them are not numbers.
        """
        with self._lock:
            forward = self._forward
        logits = self._paired(forward(tf.constant(batch))[self.activation != "none"])
        check_finite(self.name, logits.numpy())
        return self.answers(logits).numpy()

    def answers(self, logits: tf.Tensor) -> tf.Tensor:
        """float32 (n, classes): what a network says of photos, by its logits. These themselves, if it is for the photo.

        Of logits for each pixel, (n, h, w, classes), it is the share of the pixels that each class has.
        """
        return tf.reduce_mean(self.pixels(logits), (1, 2)) if self.is_grid else logits

    def pixels(self, logits: tf.Tensor) -> tf.Tensor:
        """float32 (n, h, w, classes): 1 where a class has a pixel, by the logits of the pixels; else 0.

        The most probable class has it, or of sigmoids each that is more probable than not.
        """
        if self.activation == "sigmoid" and not self.is_binary:
            return tf.cast(logits > 0, tf.float32)
        return tf.one_hot(tf.argmax(logits, axis=-1), len(self.labels))

    @cached_property
    def _forward(self) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """float32 (n, h, w, c) -> the model's output and its logits, both float32 (n, ..., outputs)."""
        return compiled(self.recording, lambda: [self.recording.rows, self.recording.head.logits])

    def logits(self, recording: Recording) -> tf.Tensor:
        """float32 (n, classes), or (n, h, w, classes) of a grid: the logits in a recording, as part of its graph.

        One sigmoid output z stands for two classes: it is a softmax over (-z/2, z/2), which gives the same
        probabilities, and evidence for both.
        """
        return self._paired(recording.rows if self.activation == "none" else recording.head.logits)

    def recorded(self, gradient_of: Mapping[str, str] | None = None) -> Recording:
        """A recording with other gradients, as `capture.recording.record` makes it."""
        return record(self.model, tuple(self.recording.batch.shape), self._feed, gradient_of)

    def around(self, model: keras.Model) -> "Classifier":
        """The same with another model of the same kind inside."""
        return Classifier(self.name, model, **self._settings())

    def __reduce__(self) -> tuple[Callable[..., "Classifier"], tuple[Any, ...]]:
        """What pickle keeps: of what it is made, and so a copy in another process has graphs of its own."""
        return remade, (Classifier, self.name, file_of(self.model), self._settings())

    def _settings(self) -> dict[str, Any]:
        labels = [label.name if label.wordnet_id is None else (label.wordnet_id, label.name) for label in self.labels]
        of = {"labels": labels, "input_size": self.input_size, "preprocess": self._preprocess}
        return {**of, **self._how, "measures": self.measures}

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
        """The index of the class meant by an index, a name or a WordNet id; see `labels.index_of`.

        The one output of a network that gives one value is meant by 1 too, as that of a single sigmoid is.
        """
        if self.measures == "value" and len(self.labels) == 1 and type(target) is int and target == 1:
            return 0
        return index_of(self.name, self.labels, target)


def check_finite(name: str, *arrays: np.ndarray) -> None:
    """Raise a NetworkError where what the network of this name gives holds values that are not numbers."""
    if not all(np.isfinite(values).all() for values in arrays):
        raise NetworkError(
            f"{name} gives values that are not numbers for this photo, so nothing can be explained. "
            "Its weights or its preprocessing do not fit."
        )
