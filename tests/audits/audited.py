"""A network of three classes and folders of photos for it, made here; what an audit of them is compared with."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image
from tiny_networks import seeded

CLASSES = ("daisy", "golden retriever", "tulip")


def flower_model(seed: int = 5) -> keras.Model:
    """Oblong input of 12 x 20 pixels; two stages."""
    inputs = keras.Input((12, 20, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(x)
    x = keras.layers.MaxPooling2D(name="pool1")(x)
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="conv2")(x)
    x = keras.layers.Flatten()(x)
    return seeded(keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head")(x)), seed)


def save_photo(path: Path, seed: int, size: tuple[int, int] = (23, 17)) -> None:
    """A photo of (width, height) pixels, with coarse noise, so that networks do not see the same in all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 4, 3), np.uint8))
    small.resize(size, Image.Resampling.BICUBIC).save(path)


def class_folders(folder: Path, counts: dict[str, int]) -> Path:
    for label, count in counts.items():
        for i in range(count):
            save_photo(folder / label / f"{i:03}.png", len(label) * 1000 + i, (23 + i % 5, 17 + i % 3))
    return folder


def by_photo(found: "object") -> dict[str, dict]:
    """The rows of an audit by photo, each once."""
    rows = found.rows().to_pylist()
    assert len({row["photo"] for row in rows}) == len(rows)
    return {row["photo"]: row for row in rows}


def assert_same_rows(some: dict[str, dict], others: dict[str, dict]) -> None:
    """Rows of two runs: the same but for rounding, which depends on how many photos went through at once."""
    assert set(some) == set(others)
    for photo, row in some.items():
        assert row.keys() == others[photo].keys()
        for name, value in row.items():
            other = others[photo][name]
            if value is None or isinstance(value, str) or other is None:
                assert value == other, (photo, name)
            else:
                np.testing.assert_allclose(value, other, atol=2e-5, rtol=1e-4, err_msg=f"{photo} {name}")
