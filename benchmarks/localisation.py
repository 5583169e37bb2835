"""Does the heat lie on the object? Every stage of a network, measured on photos with boxes around their objects.

    python -m benchmarks.localisation FOLDER                # the built-in network
    python -m benchmarks.localisation FOLDER MobileNetV2 --photos 500

FOLDER holds val.npz (jpeg, offset, label, box) and classes.json, as training/README.md describes them. Each map
explains the true class. Pointing game (Zhang et al. 2016, section 4.1, without its 15 pixels of tolerance): the share
of photos whose highest point lies in the box; an empty map misses. Heat in the box: its mean share of the positive
evidence. Two baselines on the same photos: the photo's centre, and a random point; even heat has as large a share in
the box as the box has of the photo, which is the random point's second figure.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import gradcam_core as gc
from gradcam_core.networks.zoo import weights_here
from gradcam_core.pictures.render import resize_heat
from training.photos import Photos, read_classes, read_photos


def inside(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """bool (height, width): the pixels of a box x0, y0, x1, y1, whose last row and column belong to it."""
    mask = np.zeros((height, width), bool)
    x0, y0, x1, y1 = box
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def score(heat: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """(1 if the highest point of the map lies in the mask, the share of its heat in there); 0, 0 for an empty map."""
    total = heat.sum()
    if total == 0:
        return 0.0, 0.0
    return float(mask.flat[heat.argmax()]), float(heat[mask].sum() / total)


def measure(
    network: gc.Classifier, photos: Photos, classes: list[int], layers: str, method: str
) -> dict[str, np.ndarray]:
    """name -> means of (pointing game, heat in the box); ``classes`` gives the network's index for each label."""
    height, width = photos.pixels.shape[1:3]
    scores: dict[str, list[tuple[float, float]]] = {"the photo's centre": [], "a random point": []}
    point = np.random.default_rng(0)
    for pixels, label, box in zip(photos.pixels, photos.labels, photos.boxes, strict=True):
        mask = inside(box, height, width)
        centre = float(mask[height // 2, width // 2])
        scores["the photo's centre"].append((centre, centre))
        scores["a random point"].append((float(mask[point.integers(height), point.integers(width)]), mask.mean()))
        for name, found in gc.explain(network, pixels, classes[label], layers=layers, method=method).maps.items():
            scores.setdefault(name, []).append(score(resize_heat(found.heat, width, height), mask))
    return {name: np.mean(values, axis=0) for name, values in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("networks", nargs="*", default=["bundled"], metavar="NETWORK")
    parser.add_argument("--layers", default="stages", help="stages (the default), all, last, or a layer's name")
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--photos", type=int, help="so many of them, drawn at random; all without it")
    options = parser.parse_args()
    photos = read_photos(options.folder / "val.npz")
    wordnet_ids = [wordnet_id for wordnet_id, _ in read_classes(options.folder / "classes.json")]
    if options.photos:
        chosen = np.random.default_rng(0).permutation(len(photos.labels))[: options.photos]
        photos = Photos(photos.pixels[chosen], photos.labels[chosen], photos.boxes[chosen])
    for name in options.networks:
        network = gc.load(name, weights="imagenet" if name == "bundled" or weights_here(name) else None)
        index = {label.wordnet_id: label.index for label in network.labels}
        classes = [index[wordnet_id] for wordnet_id in wordnet_ids]
        print(f"\n{network.name}, {options.method}, {len(photos.labels)} photos\n")
        print("| | peak in the box | heat in the box |\n| --- | ---: | ---: |")
        for what, (pointing, share) in measure(network, photos, classes, options.layers, options.method).items():
            print(f"| {what} | {pointing:.1%} | {share:.1%} |")


if __name__ == "__main__":
    main()
