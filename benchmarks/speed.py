"""What several heat maps cost, against one forward pass and against other ways to make them.

    make bench                       # all networks
    python benchmarks/speed.py VGG16 --rounds 9

Everything is measured in one process, turn by turn, so a ratio does not depend on how busy the machine was in
one minute or the next. Medians. tf-keras-vis is measured where it is installed (pip install .[bench]).
"""

import argparse
import os
import time
from collections.abc import Callable
from importlib import util
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import gradcam_core as gc
from gradcam_core.networks.zoo import weights_here

NETWORKS = ("VGG16", "ResNet50", "MobileNetV2", "EfficientNetLite0")


def article(network: gc.Classifier, batch: np.ndarray, layer: str) -> np.ndarray:
    """One heat map as the keras.io example makes it: a new model and a tape for the layer."""
    model = network.model
    both = keras.Model(model.input, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        activation, scores = both(batch)
        score = scores[:, int(tf.argmax(scores[0]))]
    pooled = tf.reduce_mean(tape.gradient(score, activation), axis=(0, 1, 2))
    heat = tf.maximum(tf.reduce_mean(activation[0] * pooled, axis=-1), 0)
    return (heat / tf.reduce_max(heat)).numpy()


def ways(network: gc.Classifier, photo: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is compared; the first is what the others are divided by."""
    batch = network.to_input(photo)
    forward = tf.function(lambda x: network.model(x, training=False), autograph=False)
    names = [layer.name for layer in gc.select(network, "stages")]
    everything = gc.select(network, "all")
    found = {
        "one compiled forward pass": lambda: forward(batch),
        f"explain, {len(names)} stage layers": lambda: gc.explain(network, photo),
        f"explain, all {len(everything)} layers": lambda: gc.explain(network, photo, layers="all"),
        f"the article's way, {len(names)} layers": lambda: [article(network, batch, name) for name in names],
    }
    if util.find_spec("tf_keras_vis"):
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.utils.scores import CategoricalScore

        gradcam = Gradcam(network.model, clone=False)
        score = CategoricalScore(int(np.argmax(forward(batch)[0])))
        found[f"tf-keras-vis, {len(names)} layers"] = lambda: [
            gradcam(score, batch, penultimate_layer=name) for name in names
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    photo = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    print(
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores, medians of {options.rounds}\n"
    )
    print("| network | way | time | forward passes |\n| --- | --- | ---: | ---: |")
    for name in options.networks:
        known = weights_here(name)
        network = gc.load(name, weights="imagenet" if known else None)
        title = name if known else f"{name} (random weights)"
        runs = ways(network, photo)
        times: dict[str, list[float]] = {way: [] for way in runs}
        for turn in range(options.rounds + 1):
            for way, run in runs.items():
                start = time.perf_counter()
                run()
                if turn:  # the first turn traces and warms up
                    times[way].append(time.perf_counter() - start)
        forward = median(next(iter(times.values())))
        for way, seconds in times.items():
            print(
                f"| {title} | {way} | {median(seconds) * 1000:.0f} ms | {median(seconds) / forward:.2f} |", flush=True
            )


if __name__ == "__main__":
    main()
