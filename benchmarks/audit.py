"""What an audit costs, against the network's own passes and against `explain` in a loop; and what memory it takes.

    python -m benchmarks.audit                             # speed, three networks
    python -m benchmarks.audit VGG16 --photos 32 --rounds 3
    python -m benchmarks.audit --memory 10000              # memory while so many photos are audited

Speed is measured in one process, turn by turn, on photos of 500 x 375 pixels that are read from the disk, so a ratio
does not depend on how busy the machine was in one minute or the next. Medians. The network's own pass is one compiled
forward and backward pass over a batch that lies in memory, from the most probable class's logit to the input.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import psutil
import tensorflow as tf

import gradcam_core as gc
from gradcam_core.audits.batches import Asked, Explainer
from gradcam_core.audits.listing import listed
from gradcam_core.capture.precision import has_bfloat16
from gradcam_core.networks.zoo import weights_here

NETWORKS = ("VGG16", "ResNet50", "EfficientNetLite0")
BATCH = 16


def write_photos(folder: Path, count: int) -> None:
    """Smooth noise in JPEG, of about 45 kB each, as photos have."""
    for i in range(count):
        rng = np.random.default_rng(i)
        coarse = cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), (500, 375), interpolation=cv2.INTER_CUBIC)
        noisy = np.clip(coarse + rng.normal(0, 6, coarse.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{i:06}.jpg"), noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])


def own_pass(network: gc.Classifier) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function(autograph=False)
    def both(batch):
        with tf.GradientTape() as tape:
            tape.watch(batch)
            score = tf.reduce_sum(tf.reduce_max(network.model(batch, training=False), -1))
        return tape.gradient(score, batch)

    return both


def ways(network: gc.Classifier, folder: Path) -> dict[str, Callable[[], object]]:
    """What is compared; each goes through all photos. The first is what the others are divided by."""
    listing = listed(network, folder)
    both = own_pass(network)
    inputs = np.concatenate([network.to_input(network.read(item.path)) for item in listing])
    batches = [tf.constant(inputs[start : start + BATCH]) for start in range(0, len(inputs), BATCH)]

    def audited(layers: str, precision: str = "float32") -> Callable[[], object]:
        names = tuple(layer.name for layer in gc.select(network, layers))
        explainer = Explainer(network, Asked(names, precision=precision, batch=BATCH))
        return lambda: list(explainer.rows(listing))

    found = {
        "its own forward and backward pass, 16 at once": lambda: [both(batch).numpy() for batch in batches],
        "audit, last stage": audited("last"),
        "audit, all stages": audited("stages"),
        "`explain` in a loop, last stage": lambda: [gc.explain(network, item.path, layers="last") for item in listing],
    }
    if has_bfloat16():
        found["audit, last stage, bfloat16"] = audited("last", "bfloat16")
    return found


def speed(names: list[str], photos: int, rounds: int) -> None:
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, {photos} photos, medians of {rounds}\n")
    print("| network | way | photos a second | of its own pass | of `explain` |\n| --- | --- | ---: | ---: | ---: |")
    for name in names:
        known = weights_here(name)
        network = gc.load(name, weights="imagenet" if known else None)
        with tempfile.TemporaryDirectory() as folder:
            write_photos(Path(folder), photos)
            runs = ways(network, Path(folder))
            times: dict[str, list[float]] = {way: [] for way in runs}
            for turn in range(rounds + 1):
                for way, run in runs.items():
                    start = time.perf_counter()
                    run()
                    if turn:  # the first turn traces and warms up
                        times[way].append(time.perf_counter() - start)
        rates = {way: photos / median(seconds) for way, seconds in times.items()}
        own = next(iter(rates.values()))
        loop = next(rate for way, rate in rates.items() if "loop" in way)
        for way, rate in rates.items():
            title = name if known else f"{name} (random weights)"
            print(f"| {title} | {way} | {rate:.1f} | {rate / own:.2f} | {rate / loop:.2f} |", flush=True)
    print(f"\nLoad of the machine at the end: {os.getloadavg()[0]:.1f}")


def memory(count: int) -> None:
    """The memory of this process and its decoders while photos are audited, by a small network."""
    inputs = keras.Input((64, 64, 3))
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Conv2D(32, 3, strides=2, activation="relu")(x)
    outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
    network = gc.Classifier("small", keras.Model(inputs, outputs))
    me = psutil.Process()

    def progress(done: int, total: int) -> None:
        if done % (count // 10) == 0:
            everybody = [me, *me.children(recursive=True)]
            all_of_it = sum(one.memory_info().rss for one in everybody) / 1e6
            print(f"| {done:,} | {me.memory_info().rss / 1e6:,.0f} MB | {all_of_it:,.0f} MB |", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        write_photos(photos, 50)
        for i in range(50, count):
            os.link(photos / f"{i % 50:06}.jpg", photos / f"{i:06}.jpg")
        print("| photos | this process | with its decoders |\n| ---: | ---: | ---: |")
        start = time.perf_counter()
        gc.audit(network, photos, Path(folder) / "out", progress=progress)
        size = sum(path.stat().st_size for path in (Path(folder) / "out" / "rows").iterdir())
        print(f"\n{count / (time.perf_counter() - start):.0f} photos a second; {size / count:.0f} bytes a row")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, metavar="PHOTOS")
    options = parser.parse_args()
    if options.memory:
        memory(options.memory)
    else:
        speed(list(options.networks), options.photos, options.rounds)


if __name__ == "__main__":
    sys.exit(main())
