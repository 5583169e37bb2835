"""Tiny networks whose heat maps are known exactly, for the tests, and what else several of them need."""

import keras
import numpy as np

from gradcam_core.networks.classifier import Classifier

SIDE = 12


def seeded(model: keras.Model, seed: int = 0) -> keras.Model:
    """Fill the weights reproducibly, without touching any global random state."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(0, 0.3, variable.shape)
        variable.assign(1 + np.abs(values) if variable.name == "moving_variance" else values)
    return model


def cam_network(activation: str | None = None, classes: int = 3, seed: int = 0) -> Classifier:
    """conv -> ReLU -> global average pool -> dense: here Grad-CAM is CAM."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, activation=activation, name="head")(x)
    return Classifier("cam", seeded(keras.Model(inputs, outputs), seed))


def deep_network(activation: str | None = "softmax", seed: int = 1) -> Classifier:
    """Three stages with a skip and batch normalisation, ending in two dense layers: nothing is linear here."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(x)
    x = keras.layers.MaxPooling2D(name="pool1")(x)
    skip = keras.layers.Conv2D(6, 1, name="skip")(x)
    x = keras.layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv2")(x)
    x = keras.layers.BatchNormalization(name="bn2")(x)
    x = keras.layers.ReLU(name="relu2")(x)
    x = keras.layers.Add(name="add2")([x, skip])
    x = keras.layers.MaxPooling2D(name="pool2")(x)
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv3")(x)
    x = keras.layers.ReLU(name="relu3")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(10, activation="tanh")(x)
    outputs = keras.layers.Dense(4, activation=activation, name="head")(x)
    return Classifier("deep", seeded(keras.Model(inputs, outputs), seed))


def staged_network(classes: int = 10, seed: int = 3) -> Classifier:
    """Four stages of 72 to 9 cells, each a convolution, a normalisation and a ReLU, then a linear head."""
    inputs = keras.Input((72, 72, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    for stage, channels in enumerate((8, 16, 24, 32), 1):
        x = keras.layers.MaxPooling2D(name=f"pool{stage}")(x) if stage > 1 else x
        x = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{stage}")(x)
        x = keras.layers.ReLU(name=f"relu{stage}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, name="head")(x)
    return Classifier("staged", seeded(keras.Model(inputs, outputs), seed))


def colour_network() -> Classifier:
    """Class 0 looks for red, class 1 for blue, each by one channel of one fixed 1x1 convolution."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(2, 1, activation="relu", name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(2, name="head")(x)
    model = keras.Model(inputs, outputs)
    kernel = np.array([[1.0, 0.0], [-0.5, -0.5], [0.0, 1.0]], np.float32)[None, None]
    model.set_weights([kernel, np.zeros(2), np.array([[1.0, -1.0], [-1.0, 1.0]]), np.zeros(2)])
    return Classifier("colours", model, labels=["red", "blue"])


def oblong_network(activation: str | None = None, seed: int = 2) -> Classifier:
    """Input of 12 x 20 pixels, two stages, and a head that knows every cell by its place: no two sides are alike."""
    inputs = keras.Input((12, 20, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(x)
    x = keras.layers.MaxPooling2D(name="pool1")(x)
    x = keras.layers.Conv2D(6, (3, 5), padding="same", name="conv2")(x)
    x = keras.layers.BatchNormalization(name="bn2")(x)
    x = keras.layers.ReLU(name="relu2")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dense(5, activation="tanh", name="hidden")(x)
    outputs = keras.layers.Dense(4, activation=activation, name="head")(x)
    model = seeded(keras.Model(inputs, outputs), seed)
    hidden = model.get_layer("hidden")
    hidden.kernel.assign(hidden.kernel * 0.1)  # else tanh is flat, and no gradient gets through
    return Classifier("oblong", model)


def small_model(side=16, classes=3):
    return keras.Sequential(
        [
            keras.Input((side, side, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="mean"),
            keras.layers.Dense(classes, name="scores"),
        ]
    )


def noise(side: int = 16, seed: int = 0, width: int | None = None) -> np.ndarray:
    """A photo of noise, uint8 (side, width, 3); square where no width is given."""
    return np.random.default_rng(seed).integers(0, 256, (side, width or side, 3), np.uint8)


class StoppedError(Exception):
    pass


def stop_at(limit: int):
    """A progress that stops, and a list of what it was told until then."""
    calls = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == limit:
            raise StoppedError

    return progress, calls
