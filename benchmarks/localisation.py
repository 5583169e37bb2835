"""Does the heat lie on the object? Every stage of a network, measured on real photos with boxes around their objects.

    python -m benchmarks.localisation FOLDER                # the default network
    python -m benchmarks.localisation FOLDER VGG16 --methods gradcam hirescam

FOLDER holds photos/ and boxes.json, a list of {photo, objects}. An object has `imagenet` (the indices of the ImageNet
classes that stand for it), `boxes` (x0, y0, x1, y1 as shares of the photo's width and height) and `area` (the share of
the photo that they cover together). A photo and an object are a pair that counts where one of the object's classes is
among the network's five most probable ones, and its boxes cover less than half the photo; the most probable of its
classes is explained.

Pointing game (Zhang et al. 2016, section 4.1, without its 15 pixels of tolerance): the share of pairs in which the
centre of the hottest cell lies in a box; an empty map misses. Heat in the boxes: their mean share of the positive
evidence. Two baselines on the same pairs: the photo's centre, and a random point, whose figure is the mean area.

MaxBoxAcc and MaxBoxAccV2 (Choe et al. 2020): see `gradcam_core.trust`. Their baselines: a blob in the centre, and the
box around the whole photo.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import gradcam_core as gc
from gradcam_core.networks.zoo import weights_here
from gradcam_core.pictures.render import resize_heat
from gradcam_core.settings import METHODS
from gradcam_core.trust import Overlaps, best_overlaps, centre_blob, max_box_accuracy, max_box_accuracy_v2

LARGEST_AREA = 0.5  # of the boxes: beyond it, hitting them says little


class Pair(NamedTuple):
    """A photo, uint8 (h, w, 3), one thing in it by its most probable class, and the boxes around it, float (n, 4)."""

    photo: np.ndarray
    target: int
    boxes: np.ndarray


def pairs(folder: Path, network: gc.Classifier) -> Iterator[Pair]:
    """What counts for this network, in the order of the file."""
    for entry in json.loads((folder / "boxes.json").read_text(encoding="utf-8")):
        photo = gc.read_image(folder / "photos" / entry["photo"])
        guessed = [guess.index for guess in network.predict(photo, 5)]
        for thing in entry["objects"]:
            named = [index for index in guessed if index in thing["imagenet"]]
            if named and thing["area"] < LARGEST_AREA:
                yield Pair(photo, named[0], np.array(thing["boxes"]))


def hits(x: np.ndarray, y: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """bool, of the shape of x and y: whether these points, as shares of the width and the height, lie in a box."""
    x, y = np.expand_dims(x, -1), np.expand_dims(y, -1)
    left, top, right, bottom = boxes.T
    return ((left <= x) & (x < right) & (top <= y) & (y < bottom)).any(axis=-1)


def inside(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """bool (height, width): the pixels whose centre lies in a box."""
    y, x = np.mgrid[0:height, 0:width]
    return hits((x + 0.5) / width, (y + 0.5) / height, boxes)


def score(heat: np.ndarray, pair: Pair) -> tuple[float, float]:
    """(1 if the centre of the hottest cell lies in a box, the heat's share in the boxes); 0, 0 for an empty map."""
    if not heat.any():
        return 0.0, 0.0
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    hit = hits((column + 0.5) / heat.shape[1], (row + 0.5) / heat.shape[0], pair.boxes)
    height, width = pair.photo.shape[:2]
    stretched = resize_heat(heat, width, height)
    return float(hit), float(stretched[inside(pair.boxes, height, width)].sum() / stretched.sum())


def baselines(pair: Pair) -> dict[str, float]:
    """The pointing game of the photo's centre, and of a point that may lie anywhere."""
    return {
        "the photo's centre": float(hits(np.float64(0.5), np.float64(0.5), pair.boxes)),
        "a random point, even heat": float(inside(pair.boxes, *pair.photo.shape[:2]).mean()),
    }


def boxes_met(found: list[Overlaps]) -> str:
    """MaxBoxAcc, its threshold, and MaxBoxAccV2 of the same map of all pairs."""
    accuracy, threshold = max_box_accuracy(np.stack([one.largest for one in found]))
    return f"{accuracy:.1%} at {threshold:.2f}, {max_box_accuracy_v2(np.stack([one.any for one in found])):.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("networks", nargs="*", default=[next(iter(gc.NETWORKS))], metavar="NETWORK")
    parser.add_argument("--layers", default="stages", help="stages (the default), all, last, or a layer's name")
    parser.add_argument("--methods", nargs="+", default=["gradcam", "layercam"], choices=list(METHODS))
    options = parser.parse_args()
    for name in options.networks:
        network = gc.load(name, weights="imagenet" if weights_here(name) else None)
        found = list(pairs(options.folder, network))
        scores: dict[str, list[dict[str, tuple[float, float]]]] = {method: [] for method in options.methods}
        met: dict[str, list[dict[str, Overlaps]]] = {method: [] for method in options.methods}
        for method in options.methods:
            for pair in found:
                maps = gc.explain(network, pair.photo, pair.target, options.layers, method=method).maps
                scores[method].append({name: score(of.heat, pair) for name, of in maps.items()})
                met[method].append({name: best_overlaps(of.heat, pair.boxes) for name, of in maps.items()})
        titles = [METHODS[method].title for method in options.methods]
        print(f"\n{network.name}, {len(found)} pairs\n")
        print("| | " + " | ".join(f"{title}: peak in a box | heat in the boxes" for title in titles) + " |")
        print("| --- |" + " ---: | ---: |" * len(titles))
        for layer in scores[options.methods[0]][0]:
            means = [np.mean([of[layer] for of in scores[method]], axis=0) for method in options.methods]
            print(f"| {layer} | " + " | ".join(f"{peak:.1%} | {share:.1%}" for peak, share in means) + " |")
        by_chance = [baselines(pair) for pair in found]
        for what in by_chance[0]:
            print(f"| {what} | {np.mean([of[what] for of in by_chance]):.1%} |" + " |" * (2 * len(titles) - 1))
        layers = list(met[options.methods[0]][0])
        print("\nMaxBoxAcc at the best threshold, MaxBoxAccV2\n\n| | " + " | ".join(layers) + " |")
        print("| --- |" + " ---: |" * len(layers))
        for method, title in zip(options.methods, titles, strict=True):
            row = [boxes_met([of[layer] for of in met[method]]) for layer in layers]
            print(f"| {title} | " + " | ".join(row) + " |")
        for what, heat in (("a blob in the centre", centre_blob((224, 224))), ("the whole photo", np.ones((1, 1)))):
            row = boxes_met([best_overlaps(heat, pair.boxes) for pair in found])
            print(f"| {what} | " + " | ".join([row] * len(layers)) + " |")


if __name__ == "__main__":
    main()
