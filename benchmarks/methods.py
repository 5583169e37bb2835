"""Which method and which layer can be believed? Every method at every stage, on the same photos.

    python -m benchmarks.methods FOLDER                        # the built-in network, photos with boxes
    python -m benchmarks.methods PHOTOS --network MobileNetV2  # a folder of plain photos

FOLDER holds val.npz and classes.json, as training/README.md describes them: the true class is explained, and the first
two columns are those of benchmarks/localisation.py. Of plain photos the most probable class is explained, and there are
no boxes. Deletion, insertion and average drop (`gradcam_core.trust`) are means over the first --tested photos,
beside a random map and a blob in the centre; Score-CAM, which takes hundreds of passes, sees no others. The time is
that of `explain` for all stages, in times of Grad-CAM's.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import gradcam_core as gc
from benchmarks.localisation import inside, score
from gradcam_core.pictures.render import resize_heat
from gradcam_core.settings import METHODS
from gradcam_core.trust import average_drop, centre_blob, curves_of_maps, keep_hottest, random_map
from training.photos import read_classes, read_photos

RUNS = 15  # of each method, to measure its time
BASELINES = ("a random map", "a blob in the centre")


def with_boxes(folder: Path, network: gc.Classifier, count: int) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """(photo, class, the object's pixels) of so many photos, drawn at random."""
    photos, index = read_photos(folder / "val.npz"), {label.wordnet_id: label.index for label in network.labels}
    classes = [index[wordnet_id] for wordnet_id, _ in read_classes(folder / "classes.json")]
    for i in np.random.default_rng(0).permutation(len(photos.labels))[:count]:
        pixels = photos.pixels[i]
        yield pixels, classes[photos.labels[i]], inside(photos.boxes[i], *pixels.shape[:2])


def plain(folder: Path, network: gc.Classifier, count: int) -> Iterator[tuple[np.ndarray, int, None]]:
    """(photo, its most probable class, None) of the photos in a folder."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    for path in sorted(files)[:count]:
        photo = gc.read_image(path)
        yield photo, network.predict(photo, 1)[0].index, None


def usable(network: gc.Classifier, photo: np.ndarray, methods: list[str]) -> list[str]:
    """The methods that this network allows; why it does not allow the others is printed."""
    allowed = []
    for method in methods:
        try:
            gc.explain(network, photo, 0, "last", method=method)
            allowed.append(method)
        except (gc.LayerError, gc.SettingError) as error:
            print(f"Without {method}: {error}")
    return allowed


def times(network: gc.Classifier, photo: np.ndarray, methods: list[str]) -> dict[str, float]:
    """Seconds that `explain` takes for all stages, by method: medians of runs that take turns."""
    taken = defaultdict(list)
    for run in range(RUNS + 1):
        for method in methods:
            if method == "scorecam" and run > 1:
                continue
            start = time.perf_counter()
            gc.explain(network, photo, 0, method=method)
            taken[method].append(time.perf_counter() - start)
    return {method: median(values[1:]) for method, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", default="bundled")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--photos", type=int, default=1000, help="for the boxes (default: %(default)s)")
    parser.add_argument("--tested", type=int, default=100, help="of them, by hiding (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=16, help="of the curves (default: %(default)s)")
    options = parser.parse_args()
    network = gc.load(options.network)
    draw = with_boxes if (options.folder / "val.npz").is_file() else plain
    methods = usable(network, np.zeros((*network.input_size, 3), np.uint8), options.methods)
    located, curves, kept = defaultdict(list), defaultdict(list), defaultdict(list)
    number = -1
    for number, (photo, target, mask) in enumerate(draw(options.folder, network, options.photos)):
        heats = {
            (method, name): found.heat
            for method in methods
            if number < options.tested or method != "scorecam"
            for name, found in gc.explain(network, photo, target, method=method).maps.items()
        }
        if mask is not None:
            for key, heat in heats.items():
                located[key].append(score(resize_heat(heat, mask.shape[1], mask.shape[0]), mask))
        if number < options.tested:
            heats[BASELINES[0], ""] = random_map(network.input_size, seed=number)
            heats[BASELINES[1], ""] = centre_blob(network.input_size)
            for key, found in curves_of_maps(network, photo, target, heats, steps=options.steps).items():
                curves[key].append((found.deletion_area, found.insertion_area))
            for key, heat in heats.items():
                kept[key].append(keep_hottest(network, photo, target, heat))
    if number < 0:
        parser.error(f"{options.folder} holds no val.npz and no photos")
    factor = times(network, photo, methods)
    print(f"\n{network.name}: {number + 1} photos, {min(number + 1, options.tested)} tested by hiding\n")
    print("| method | layer | peak in the box | heat in the box | deletion | insertion | average drop | time |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for key in sorted(curves, key=lambda key: key[0] in BASELINES):
        method, name = key
        where = [f"{value:.1%}" for value in np.mean(located[key], axis=0)] if key in located else ["", ""]
        deletion, insertion = np.mean(curves[key], axis=0)
        drop = average_drop(*np.transpose(kept[key]))
        relative = f"{factor[method] / factor['gradcam']:.2f}" if "gradcam" in factor and method in factor else ""
        print(
            f"| {method} | {name} | {' | '.join(where)} | {deletion:.3f} | {insertion:.3f} | {drop:.0f}% | {relative} |"
        )


if __name__ == "__main__":
    main()
