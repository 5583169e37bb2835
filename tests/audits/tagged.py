"""Photos of which half of one class has a tag in a corner, and a network that is known to look at it."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image

from gradcam_core.networks.classifier import Classifier

CLASSES = ("red", "blue", "violet")
HEIGHT, WIDTH, CELL = 24, 32, 4
TAG = (slice(20, 24), slice(4, 12))  # two cells of the map at the bottom left


def tag_network(weight: float) -> Classifier:
    """One channel each for red, green and blue in cells of 4 x 4 pixels; ``weight`` is what green says for "red"."""
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.AveragePooling2D(CELL)(x)
    x = keras.layers.Conv2D(3, 1, activation="relu", name="colours")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(x))
    head = np.array([[60, -20, 20], [weight, 0, 0], [-20, 60, 40]], np.float32)  # of red, green and blue
    model.set_weights([np.eye(3, dtype=np.float32)[None, None], np.zeros(3), head, np.zeros(3)])
    return Classifier("tags", model, labels=list(CLASSES))


def photo(name: str, rng: np.random.Generator, is_tagged: bool = False) -> np.ndarray:
    """uint8 (24, 32, 3): a soft spot of the class's colour about the upper right, and perhaps a green tag."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    row, column = rng.normal(8, 2), rng.normal(20, 3)
    spot = rng.uniform(120, 250) * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 30)
    pixels = np.zeros((HEIGHT, WIDTH, 3))
    pixels[..., {"red": [0], "blue": [2], "violet": [0, 2]}[name]] = spot[..., np.newaxis]
    if is_tagged:
        pixels[*TAG, 1] = 230
    return np.rint(pixels).astype(np.uint8)


def tagged_folder(folder: Path, count: int = 40, seed: int = 0) -> list[str]:
    """Write photos of each class, every other red one with the tag; give the names of those."""
    rng = np.random.default_rng(seed)
    names = []
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            is_tagged = name == "red" and number % 2 == 1
            Image.fromarray(photo(name, rng, is_tagged)).save(folder / name / f"{number:03}.png")
            names += [f"{name}/{number:03}.png"] if is_tagged else []
    return names
