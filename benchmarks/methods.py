"""Which method and which layer can be believed? Every method at every stage, on the same photos.

    python -m benchmarks.methods FOLDER                        # the default network, photos with boxes
    python -m benchmarks.methods PHOTOS --network MobileNetV2  # a folder of plain photos

FOLDER holds boxes.json and photos/, and what counts, what is explained and the first two columns are those of
benchmarks/localisation.py. Of plain photos the most probable class is explained, and there are no boxes. Deletion,
insertion and average drop (`gradcam_core.faithfulness`) are means over --tested of them, drawn at random, beside a
random map and a blob in the centre; Score-CAM, which takes thousands of passes, sees no others. The time is that of
`explain` for all stages, in times of Grad-CAM's.
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
from benchmarks.localisation import Pair, pairs, score
from gradcam_core.settings import METHODS
from gradcam_core.trust import average_drop, centre_blob, curves_of_maps, keep_hottest, random_map

RUNS = 15  # of each method, to measure its time
BASELINES = ("a random map", "a blob in the centre")


def plain(folder: Path, network: gc.Classifier) -> Iterator[Pair]:
    """The photos in a folder with their most probable classes, without boxes."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"):
            photo = gc.read_image(path)
            yield Pair(photo, network.predict(photo, 1)[0].index, np.empty((0, 4)))


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
    parser.add_argument("--network", default=next(iter(gc.NETWORKS)))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--tested", type=int, default=50, help="so many by hiding too (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=16, help="of the curves (default: %(default)s)")
    options = parser.parse_args()
    network = gc.load(options.network)
    draw = pairs if (options.folder / "boxes.json").is_file() else plain
    found = list(draw(options.folder, network))
    if not found:
        parser.error(f"{options.folder} holds no boxes.json and no photos")
    methods = usable(network, np.zeros((*network.input_size, 3), np.uint8), options.methods)
    tested = set(np.random.default_rng(0).permutation(len(found))[: options.tested])
    located, curves, kept = defaultdict(list), defaultdict(list), defaultdict(list)
    for number, pair in enumerate(found):
        heats = {
            (method, name): of.heat
            for method in methods
            if number in tested or method != "scorecam"
            for name, of in gc.explain(network, pair.photo, pair.target, method=method).maps.items()
        }
        heats[BASELINES[0], ""] = random_map(network.input_size, seed=number)
        heats[BASELINES[1], ""] = centre_blob(network.input_size)
        if len(pair.boxes):
            for key, heat in heats.items():
                located[key].append(score(heat, pair))
        if number in tested:
            for key, of in curves_of_maps(network, pair.photo, pair.target, heats, steps=options.steps).items():
                curves[key].append((of.deletion_area, of.insertion_area))
            for key, heat in heats.items():
                kept[key].append(keep_hottest(network, pair.photo, pair.target, heat))
    factor = times(network, found[0].photo, methods)
    print(f"\n{network.name}: {len(found)} pairs of a photo and a class, {len(tested)} tested by hiding\n")
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
