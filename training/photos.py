"""The training photos: read from a folder, then cropped, mirrored and coloured anew in every epoch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

CROP_AREA = (0.3, 1.0)  # share of the photo
CROP_ASPECT = (3 / 4, 4 / 3)
COLOUR = 0.3  # brightness, contrast and saturation change by up to this share
WHITE = 0.1  # and so does each of red, green and blue, as under another light
SHARPNESS = (-0.6, 0.9)  # below 0 blurs, above sharpens: real photos, scaled down, are sharper than these
PASTED = 0.4  # of the batches have each photo pasted, scaled down whole, into another
PASTED_SIDE = (0.35, 0.85)  # share of the side


@dataclass(frozen=True)
class Photos:
    """Photos of one split.

    pixels: uint8 (n, h, w, 3), RGB.
    labels: int32 (n,).
    boxes: int (n, 4), the object's first and last column and row: x0, y0, x1, y1.
    """

    pixels: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray


def read_photos(file: Path) -> Photos:
    """Decode a split: an ``.npz`` of ``jpeg`` (files joined), ``offset`` (where each begins), ``label`` and ``box``."""
    with np.load(file) as split:
        jpeg, offset = split["jpeg"], split["offset"]
        pixels = [cv2.imdecode(jpeg[a:b], cv2.IMREAD_COLOR_RGB) for a, b in pairwise(offset)]
        return Photos(np.stack(pixels), split["label"].astype("int32"), split["box"])


def read_classes(file: Path) -> list[list[str]]:
    """The classes in the order of the labels: [[WordNet id, name], ...]."""
    return json.loads(file.read_text(encoding="utf-8"))


def epoch(photos: Photos, side: int, batch: int, seed: int) -> tf.data.Dataset:
    """One epoch of whole batches: float32 (batch, side, side, 3) from 0 to 255 and one-hot labels, in a new order."""
    classes = int(photos.labels.max()) + 1
    order = np.random.default_rng(seed).permutation(len(photos.labels))
    order = order[: len(order) // batch * batch].reshape(-1, batch)

    def take(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return photos.pixels[chosen], photos.labels[chosen]

    def prepare(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels, labels = tf.numpy_function(take, [chosen], [tf.uint8, tf.int32], stateful=False)
        pixels.set_shape((batch, *photos.pixels.shape[1:]))
        labels.set_shape((batch,))
        pixels, labels = augment(tf.cast(pixels, tf.float32), side), tf.one_hot(labels, classes)
        pasted = tf.random.uniform(()) < PASTED
        return tf.cond(pasted, lambda: paste(pixels, labels), lambda: (pixels, labels))

    tf.random.set_seed(seed)
    return tf.data.Dataset.from_tensor_slices(order).map(prepare, num_parallel_calls=1).prefetch(4)


def augment(pixels: tf.Tensor, side: int) -> tf.Tensor:
    """Random crops scaled to ``side``, half of them mirrored, with other colours: float32 (n, side, side, 3), 0 to 255.

    Small crops are scaled up and large ones down, so that the network meets blurred and sharp photos alike.
    """
    n = tf.shape(pixels)[0]

    def uniform(low: float, high: float) -> tf.Tensor:
        return tf.random.uniform((n,), low, high)

    area, aspect = uniform(*CROP_AREA), tf.exp(uniform(*np.log(CROP_ASPECT)))
    height, width = tf.minimum(tf.sqrt(area / aspect), 1), tf.minimum(tf.sqrt(area * aspect), 1)
    top, left = uniform(0, 1) * (1 - height), uniform(0, 1) * (1 - width)
    right = left + width
    mirrored = uniform(0, 1) < 0.5
    left, right = tf.where(mirrored, right, left), tf.where(mirrored, left, right)
    extent = tf.cast(tf.shape(pixels)[1:3], tf.float32)
    # crop_and_resize puts the samples on pixel centres from edge to edge; shift them to half-pixel centres
    half = 0.5 / side
    y0, y1 = top + height * half, top + height * (1 - half)
    x0, x1 = left + (right - left) * half, left + (right - left) * (1 - half)
    boxes = (tf.stack([y0, x0, y1, x1], axis=1) * tf.tile(extent, [2]) - 0.5) / (tf.tile(extent, [2]) - 1)
    pixels = tf.image.crop_and_resize(pixels, tf.clip_by_value(boxes, 0, 1), tf.range(n), (side, side))

    def factor() -> tf.Tensor:
        return tf.reshape(uniform(1 - COLOUR, 1 + COLOUR), (n, 1, 1, 1))

    grey = tf.reduce_mean(pixels, axis=3, keepdims=True)
    pixels = grey + (pixels - grey) * factor()
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    pixels = mean * factor() + (pixels - mean) * factor()
    pixels *= tf.random.uniform((n, 1, 1, 3), 1 - WHITE, 1 + WHITE)
    blurred = tf.nn.avg_pool2d(pixels, 3, 1, "SAME")
    pixels += tf.reshape(uniform(*SHARPNESS), (n, 1, 1, 1)) * (pixels - blurred)
    return tf.clip_by_value(pixels, 0, 255)


def paste(pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale each photo down, put it somewhere into the next one, and share the labels by area.

    So the network meets small and sharp things before a busy ground. Source: Qin et al., "ResizeMix: Mixing Data with
    Preserved Object Information and True Labels", 2020.
    """
    side = pixels.shape[1]
    small = tf.cast(tf.round(tf.random.uniform((), *PASTED_SIDE) * side), tf.int32)
    top, left = tf.unstack(tf.random.uniform((2,), 0, side - small + 1, tf.int32))
    edges = [[0, 0], [top, side - small - top], [left, side - small - left], [0, 0]]
    inside = tf.pad(tf.ones((1, small, small, 1)), edges)
    pasted = tf.pad(tf.image.resize(pixels, (small, small), antialias=True), edges)
    share = tf.cast(small * small, tf.float32) / side**2
    mixed = pasted * inside + tf.roll(pixels, 1, axis=0) * (1 - inside)
    mixed.set_shape(pixels.shape)
    return mixed, labels * share + tf.roll(labels, 1, axis=0) * (1 - share)
