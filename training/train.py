"""Train the network: ``python -m training.train FOLDER --run RUN``. Stopped, it goes on where its last epoch ended."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from training.network import WIDTHS, build
from training.photos import Photos, epoch, read_classes, read_photos


@dataclass(frozen=True)
class Recipe:
    """What is done to the photos, and for how long.

    sides: the side in pixels that photos are cropped and scaled to, one number an epoch.
    rate: the learning rate between the warm-up and the decay; it rises from 0 and falls to 0 in straight lines.
    widths: the channels of the five blocks.
    """

    widths: tuple[int, ...] = WIDTHS
    sides: tuple[int, ...] = (48,) * 12 + (64,) * 18
    batch: int = 64
    rate: float = 2e-3
    warm_up: float = 0.5  # epochs
    decay: float = 6.0  # epochs
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    memory: float = 0.99  # of the averaged weights, from one eighth batch to the next

    def learning_rate(self, done: float) -> float:
        """The learning rate after ``done`` epochs."""
        return self.rate * max(0.0, min(1.0, done / self.warm_up, (len(self.sides) - done) / self.decay))


class Course(keras.callbacks.Callback):
    """Sets the learning rate before every batch, and keeps a running average of the weights.

    The average is kept here and not by the optimizer's ``use_ema``, which overwrites the weights with it at the end of
    every ``fit``.
    """

    def __init__(self, recipe: Recipe, average: list[np.ndarray]) -> None:
        super().__init__()
        self.recipe, self.average = recipe, average
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.model.optimizer.learning_rate = self.recipe.learning_rate(self.epoch + batch / self.params["steps"])

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if batch % 8 == 0:
            for average, weight in zip(self.average, self.model.get_weights(), strict=True):
                average += (weight - average) * (1 - self.recipe.memory)


def accuracy(network: keras.Model, photos: Photos, side: int) -> tuple[float, float]:
    """Top-1 and top-5 over photos scaled to ``side``."""
    before = []  # how many classes come before the true one
    for start in range(0, len(photos.labels), 250):
        part = slice(start, start + 250)
        pixels = keras.ops.image.resize(photos.pixels[part].astype("float32"), (side, side))
        logits = keras.ops.convert_to_numpy(network(pixels, training=False))
        before.append((logits > logits[np.arange(len(logits)), photos.labels[part], None]).sum(axis=1))
    rank = np.concatenate(before)
    return float((rank < 1).mean()), float((rank < 5).mean())


def save(network: keras.Model, average: list[np.ndarray], epochs: int, run: Path) -> None:
    """Put the state of a run on disk whole: a run cut off while it saves keeps the state before."""
    new, old = run / "state.new", run / "state.old"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    network.save(new / "network.keras")
    np.savez(new / "average.npz", *average)
    (new / "progress.json").write_text(json.dumps({"epochs": epochs}), encoding="utf-8")
    state = run / "state"
    if state.exists():  # else the state before is in state.old, and stays there until the new one stands
        shutil.rmtree(old, ignore_errors=True)
        state.rename(old)
    new.rename(state)
    shutil.rmtree(old, ignore_errors=True)


def read_average(run: Path) -> list[np.ndarray]:
    """The averaged weights of a run, in the order of ``network.get_weights()``."""
    with np.load(state_of(run) / "average.npz") as average:
        return [average[name] for name in average.files]


def state_of(run: Path) -> Path:
    """Where the state of a run is: the last, or the one before where the run was cut off while it saved."""
    return run / "state" if (run / "state").exists() else run / "state.old"


def train(folder: Path, run: Path, recipe: Recipe, start: Path | None = None) -> keras.Model:
    """Train on ``folder`` and leave the state of every epoch in ``run``; gives the network with averaged weights.

    start: a ``.keras`` file of the same network whose weights are taken instead of random ones.
    """
    photos, known = read_photos(folder / "train.npz"), read_photos(folder / "val.npz")
    state, done = state_of(run), 0
    if state.exists():
        network, average = keras.models.load_model(state / "network.keras"), read_average(run)
        done = json.loads((state / "progress.json").read_text(encoding="utf-8"))["epochs"]
        print(f"Going on after epoch {done}.", flush=True)
    else:
        network = build(len(read_classes(folder / "classes.json")), recipe.widths)
        if start:
            network.set_weights(keras.models.load_model(start).get_weights())
        average = network.get_weights()
        optimizer = keras.optimizers.AdamW(recipe.rate, weight_decay=recipe.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
        network.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    averaged = keras.models.clone_model(network)
    averaged.set_weights(average)
    course = Course(recipe, average)
    for number in range(done, len(recipe.sides)):
        began = time.monotonic()
        history = network.fit(
            epoch(photos, recipe.sides[number], recipe.batch, seed=number),
            initial_epoch=number,
            epochs=number + 1,
            callbacks=[course],
            shuffle=False,
            verbose=0,
        ).history
        save(network, average, number + 1, run)
        averaged.set_weights(average)
        top1, top5 = accuracy(averaged, known, side=80)
        print(
            f"epoch {number + 1}/{len(recipe.sides)}, {recipe.sides[number]} px: "
            f"loss {history['loss'][0]:.3f}, training photos {history['accuracy'][0]:.1%}, "
            f"validation at 80 px, averaged weights: top-1 {top1:.1%}, top-5 {top5:.1%} "
            f"({time.monotonic() - began:.0f} s)",
            flush=True,
        )
    return averaged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="train.npz, val.npz and classes.json: see training/README.md")
    parser.add_argument("--run", type=Path, default=Path("runs/bundled"), help="where the state of the run is kept")
    parser.add_argument("--start", type=Path, help="a .keras file of this network to start from")
    parser.add_argument("--sides", help="the side of the photos in each stretch of epochs, as in 48x12,64x18")
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="the learning rate")
    parser.add_argument("--decay", type=float, default=Recipe.decay, help="epochs in which it falls to 0 at the end")
    given = parser.parse_args()
    sides = Recipe.sides
    if given.sides:
        stretches = (stretch.split("x") for stretch in given.sides.split(","))
        sides = tuple(int(side) for side, epochs in stretches for _ in range(int(epochs)))
    train(given.folder, given.run, Recipe(sides=sides, rate=given.rate, decay=given.decay), given.start)


if __name__ == "__main__":
    main()
