"""Turn a run into the built-in network: ``python -m training.ship FOLDER --run RUN``.

It measures the network as a user meets it, through gradcam_core, and writes the figures into its card.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import keras
import numpy as np

import gradcam_core as gc
from training.network import WIDTHS, build
from training.photos import Photos, read_classes, read_photos
from training.train import read_average

BUNDLED = Path(gc.__file__).parent / "bundled"
ABOUT = (
    "A residual VGG over 100 everyday classes, trained on photos of 64x64 pixels. "
    "Takes RGB 0 to 255 of any size, scales it inside, gives logits."
)
CARD = """\
# The built-in network

A residual VGG of {parameters:,} parameters ({megabytes:.1f} MB, float32) that knows 100 everyday things, so that the
project does its whole job on a machine that has no other weights. It is no judge of photos: VGG16 and its kin know
1000 classes and know them better.

**Input** RGB, 0 to 255; it scales to [-1, 1] itself. It is convolutional up to the pool and takes any size; its working
size is {side}x{side}, where the last map is {cells}x{cells}. **Output** 100 logits, in the order of `network.json`.

**Layers** `block1_conv1`, `block2_conv1`, `block2_conv2` ... `block5_conv2`, each followed by `_bn`; second
convolutions have a skip around them (`_add`), then comes `_relu`; pools close blocks 1, 2 and 3. A linear head stands
on the global average pool: at `block5_conv2_relu` Grad-CAM and CAM are the same map.

**Data** 50,000 photos of 100 classes of Tiny ImageNet (Stanford CS231n), 64x64 pixels, which come from ImageNet.
ImageNet gives the photos, which belong to their owners, for research and teaching that is not commercial; none is
shipped here. Whoever wants to use the network otherwise should ask whether that allows it. How it was made stands in
`training/`.

## Accuracy

On the 5,000 validation photos, each read as a visitor's photo would be (`python -m training.ship`):

| input | top-1 | top-5 |
| --- | ---: | ---: |
{accuracy}

The classes it knows best: {best}. The worst: {worst}.

What it takes for something else most often (of 50 photos each):

| the photo shows | it says | photos |
| --- | --- | ---: |
{confusions}

## What it cannot do

- It knows no person, no horse, no house: what is not among its 100 classes gets the name of one of them,
  mostly with a low probability.
- It sees {side}x{side} pixels. A thing that is small in a large photo is lost; crop the photo around it.
- It judges by colour and texture before shape, and cannot tell breeds of dogs or kinds of bottles reliably.
- Its photos were taken by people of a few countries around 2010; a bus, a cab or a barn elsewhere may look otherwise.
- It was made to explain heat maps. Nothing that matters to somebody should hang on its answer.
"""


def ranks(network: gc.Classifier, photos: Photos) -> tuple[np.ndarray, np.ndarray]:
    """For each photo, read as a user's: how many classes come before the true one, and the class that comes first."""
    before, first = [], []
    for pixels, label in zip(photos.pixels, photos.labels, strict=True):
        logits, _ = network.trace(())(network.to_input(pixels))
        before.append(int((logits > logits[label]).sum()))
        first.append(int(logits.argmax()))
    return np.array(before), np.array(first)


def card(network: gc.Classifier, photos: Photos, sides: tuple[int, ...]) -> str:
    """The model card, with what is measured on ``photos`` at each of ``sides``; the first is the working size."""
    rows, own = [], []
    for side in sides:
        before, first = ranks(gc.Classifier(network.name, network.model, labels(network), (side, side)), photos)
        rows.append(f"| {side}x{side} | {(before < 1).mean():.1%} | {(before < 5).mean():.1%} |")
        print(rows[-1], flush=True)
        own = own or [before, first]
    before, first = own
    names = [label.name for label in network.labels]
    present = np.unique(photos.labels)
    right = sorted(present, key=lambda label: -(before[photos.labels == label] < 1).mean())
    pairs = Counter((int(a), int(b)) for a, b in zip(photos.labels, first, strict=True) if a != b)
    share = [f"{names[label]} ({(before[photos.labels == label] < 1).mean():.0%})" for label in right]
    return CARD.format(
        parameters=network.parameters,
        megabytes=network.parameters * 4 / 1e6,
        side=sides[0],
        cells=sides[0] // 8,
        accuracy="\n".join(rows),
        best=", ".join(share[:5]),
        worst=", ".join(share[-5:]),
        confusions="\n".join(f"| {names[a]} | {names[b]} | {count} |" for (a, b), count in pairs.most_common(10)),
    )


def labels(network: gc.Classifier) -> list[tuple[str, str]]:
    return [(label.wordnet_id, label.name) for label in network.labels]


def try_photos(network: gc.Classifier, folder: Path) -> None:
    """Print what the network says to photos whose file names begin with a WordNet id, as n02129604_tiger.jpg does."""
    known = {label.wordnet_id: label for label in network.labels}
    own = []
    for file in sorted(folder.glob("n*.jpg")):
        predictions = network.predict(gc.read_image(file), top=len(network.labels))
        label = known.get(file.name[:9])
        said = ", ".join(f"{p.name} {p.probability:.0%}" for p in predictions[:3])
        if label is None:
            print(f"  unknown  {file.stem[10:]}: {said}")
            continue
        own.append(next(p.probability for p in predictions if p.index == label.index))
        print(f"  {'right' if predictions[0].index == label.index else 'wrong':7}  {label.name} {own[-1]:.0%}: {said}")
    print(f"median probability of the right class {median(own):.2f}" if own else "no photo of a class it knows")


def calibrate(model: keras.Model, photos: Photos, side: int) -> float:
    """Scale the logits so that the probabilities fit what is right how often; gives the factor. The order stays.

    The factor, which goes into the head's weights, is the one of 0.5, 0.55 ... 3 with the least cross-entropy. Source:
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2 (temperature scaling).
    """
    pixels = keras.ops.image.resize(photos.pixels.astype("float32"), (side, side))
    logits = np.concatenate([model(pixels[i : i + 250], training=False) for i in range(0, len(photos.labels), 250)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    factor = min(np.arange(0.5, 3.01, 0.05), key=lambda factor: float(loss(photos.labels, logits * factor)))
    head = model.get_layer("predictions")
    head.set_weights([weight * factor for weight in head.get_weights()])
    return float(factor)


def ship(
    folder: Path,
    runs: Sequence[Path],
    into: Path = BUNDLED,
    sides: tuple[int, ...] = (72, 64),
    widths: tuple[int, ...] = WIDTHS,
) -> gc.Classifier:
    """Write ``network.keras``, ``network.json`` and ``README.md`` into ``into``; gives the network.

    The weights are the mean of those of all ``runs``, which must have begun with the same weights: Wortsman et al.,
    "Model soups", ICML 2022.
    """
    classes = [(wordnet_id, name.replace("_", " ")) for wordnet_id, name in read_classes(folder / "classes.json")]
    model = build(len(classes), widths, normalization=keras.layers.BatchNormalization)
    model.set_weights([np.mean(weights, axis=0) for weights in zip(*map(read_average, runs), strict=True)])
    known = read_photos(folder / "val.npz")
    print(f"logits times {calibrate(model, known, sides[0]):.2f}", flush=True)
    network = gc.Classifier("bundled", model, classes, (sides[0], sides[0]))
    text = card(network, known, sides)
    into.mkdir(parents=True, exist_ok=True)
    model.save(into / "network.keras")
    (into / "README.md").write_text(text, encoding="utf-8")
    description = {
        "about": ABOUT,
        "weights": "network.keras",
        "parameters": network.parameters,
        "input_size": [sides[0], sides[0]],
        "preprocess": None,
    }
    lines = ",\n".join("    " + json.dumps(label, ensure_ascii=False) for label in classes)
    head = json.dumps(description, indent=2)[:-2]
    (into / "network.json").write_text(f'{head},\n  "labels": [\n{lines}\n  ]\n}}\n', encoding="utf-8")
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="train.npz, val.npz and classes.json: see training/README.md")
    parser.add_argument(
        "--run",
        type=Path,
        nargs="+",
        default=[Path("runs/bundled")],
        help="where train.py kept its state; of several runs that began with the same weights the mean is taken",
    )
    parser.add_argument("--into", type=Path, default=BUNDLED, help="the folder to write")
    parser.add_argument("--photos", type=Path, help="also try photos named by WordNet id, as n02129604_tiger.jpg")
    given = parser.parse_args()
    network = ship(given.folder, given.run, given.into)
    if given.photos:
        try_photos(network, given.photos)


if __name__ == "__main__":
    main()
