"""Maps that take more than one pass through the network: Score-CAM, Guided Grad-CAM, and smoothing.

Each function gives a `Run`, which is called as a `gradients.trace` with a matrix is.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from ..capture.layers import Layer
from ..errors import SettingError
from ..networks.classifier import Classifier, check_finite
from ..pictures.render import resize_heat
from ..settings import BATCH_PIXELS, Progress
from . import gradients

# float32 (1, h, w, 3), float32 (n, classes) weights of scores -> logits float32 (classes,), maps float32 (n, h, w)
Run = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, Mapping[str, np.ndarray]]]

NOISE_SAMPLES = 16
NOISE = 0.1  # standard deviation, as a share of what lies between the input's lowest and highest value


def score_cam(network: Classifier, names: tuple[str, ...], score: str, progress: Progress | None) -> Run:
    r"""Score-CAM: each channel weighted by what the score gains when the photo is seen through it alone.

    With :math:`H_k` the channel scaled to the input's size and to [0, 1], :math:`C_k = f(X \odot H_k) - f(0)` and
    :math:`M = \sum_k \mathrm{softmax}(C)_k A_k`. X is the network's input after preprocessing, as in the paper. A
    channel that is the same everywhere has no :math:`H_k` and counts for nothing.

    Source: Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR
    Workshops 2020, section 3 and algorithm 1.
    """
    if network.is_grid:
        raise SettingError(
            f"Score-CAM weighs one score for the photo; {network.name} gives one for each pixel. Choose another method."
        )
    activations = gradients.trace(network, names, _activation)

    def scores(batch: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return gradients.scores_of(network, tf.constant(network.predict_logits(batch)), score).numpy() @ weights.T

    def run(batch: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        logits, found = activations(batch, 0)
        height, width = network.input_size
        at_once = max(1, BATCH_PIXELS // (height * width))
        baseline = scores(np.zeros_like(batch), weights)
        done, total = 0, sum(activation.shape[-1] for activation in found.values())
        maps = {}
        for name, activation in found.items():
            spread = np.ptp(activation, (0, 1))
            gains = np.full((activation.shape[-1], len(weights)), -np.inf)
            for start in range(0, len(gains), at_once):
                channels = [k for k in range(start, min(start + at_once, len(gains))) if spread[k] > 0]
                masks = [_mask(activation[..., k], width, height) for k in channels]
                if masks:
                    gains[channels] = scores(batch * np.stack(masks)[..., np.newaxis], weights) - baseline
                done += min(at_once, len(gains) - start)
                if progress:
                    progress(done, total)
            alpha = np.exp(gains - np.maximum(gains.max(0), np.finfo(float).min))
            alpha /= np.maximum(alpha.sum(0), np.finfo(float).tiny)
            maps[name] = np.einsum("hwk,kn->nhw", activation, alpha).astype(np.float32)
        check_finite(network.name, *maps.values())
        return logits, maps

    return run


def _mask(channel: np.ndarray, width: int, height: int) -> np.ndarray:
    """float32 (height, width) from 0 to 1: a channel that is not the same everywhere, enlarged and then normalised."""
    mask = resize_heat((channel - channel.min()) / np.ptp(channel), width, height)
    mask -= mask.min()
    return mask / (mask.max() or np.float32(1))  # a peak between two pixels is lower once it is enlarged


def guided_grad_cam(network: Classifier, names: tuple[str, ...], score: str) -> Run:
    r"""Guided Grad-CAM: Grad-CAM, scaled to the input's size, times guided backpropagation.

    The map has the size of the network's input. Of the three colours the largest absolute value is taken, as for the
    saliency maps of Simonyan et al. 2013, section 3.1.

    Raises:
        SettingError: the network has no ReLU.

    Source: Selvaraju et al., ICCV 2017, section 3.1, "Guided Grad-CAM"; see `gradients.guided_backpropagation`.
    """
    grad_cam = gradients.trace(network, names, "gradcam", score)
    guided = network.kept(("guided", score), lambda: gradients.guided_backpropagation(network, score))
    height, width = network.input_size

    def run(batch: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        logits, coarse = grad_cam(batch, weights)
        saliency = np.stack([np.abs(guided(batch, row)).max(-1) for row in weights])

        def fine(raw: np.ndarray) -> np.ndarray:
            peak = max(raw.max(), 0)
            return resize_heat(np.maximum(raw, 0) / (peak or 1), width, height) * peak

        maps = {name: saliency * np.array([fine(row) for row in rows], np.float32) for name, rows in coarse.items()}
        check_finite(network.name, *maps.values())
        return logits, maps

    return run


def smoothed(run: Run, network: Classifier, layers: Sequence[Layer], smoothing: str, progress: Progress | None) -> Run:
    """The mean of a method's maps over several views of the photo, each brought back to where it was.

    Args:
        run: the method.
        network, layers: what it explains.
        smoothing: "flips": the photo and its mirror image, two passes. "shifts": both, and each moved up, down, left
            and right by a cell of the coarsest layer, ten passes; cells whose content has left the photo do not count.
            "noise": sixteen times with noise of a tenth of the input's range, always the same.
        progress: called as progress(done, total), in views.

    Raises:
        SettingError: there is no such smoothing, or the cells of the layers are not whole numbers of pixels that a
            shift could move all maps by.

    Source: for noise, Smilkov et al., "SmoothGrad: Removing Noise by Adding Noise", 2017, section 2.
    """
    views = list(_views(network, layers, smoothing))

    def smooth(batch: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        logits = network.predict_logits(batch)[0]
        totals: dict[str, np.ndarray] = {}
        counts: dict[str, np.ndarray] = {}
        for done, (change, back) in enumerate(views, 1):
            for name, raw in run(change(batch), weights)[1].items():
                raw, seen = back(raw), back(np.ones_like(raw))
                totals[name] = totals.get(name, 0) + raw
                counts[name] = counts.get(name, 0) + seen
            if progress:
                progress(done, len(views))
        return logits, {name: (total / counts[name]).astype(np.float32) for name, total in totals.items()}

    return smooth


Change = Callable[[np.ndarray], np.ndarray]


def _views(network: Classifier, layers: Sequence[Layer], smoothing: str) -> Iterator[tuple[Change, Change]]:
    """(batch -> another view of it, maps of that view -> maps that lie over the photo; 0 where they know nothing)."""
    if smoothing == "noise":
        rng = np.random.default_rng(0)
        draws = [
            rng.standard_normal((1, *network.input_size, network.channels), np.float32) for _ in range(NOISE_SAMPLES)
        ]
        for draw in draws:
            yield partial(_with_noise, draw), np.asarray
        return
    steps = [(0, 0)]
    if smoothing == "shifts":
        cells = [math.lcm(*(round(layer.cell[axis]) for layer in layers)) for axis in (0, 1)]
        is_exact = all(side.is_integer() for layer in layers for side in layer.cell)
        if not is_exact or any(2 * cell > side for cell, side in zip(cells, network.input_size, strict=True)):
            raise SettingError(
                f"The cells of these layers of {network.name} do not fit into one another, so no shift moves all maps "
                "by whole cells. Choose other layers, or smooth by flips or noise."
            )
        steps += [(cells[0], 0), (-cells[0], 0), (0, cells[1]), (0, -cells[1])]
    elif smoothing != "flips":
        raise SettingError(f"There is no smoothing {smoothing!r}. There is: none, flips, shifts, noise.")
    for step in steps:
        for mirror in (1, -1):
            yield partial(_shifted, step, mirror), partial(_shifted_back, step, mirror, network.input_size)


def _with_noise(draw: np.ndarray, batch: np.ndarray) -> np.ndarray:
    return batch + np.float32(NOISE * np.ptp(batch)) * draw


def _shifted(step: tuple[int, int], mirror: int, batch: np.ndarray) -> np.ndarray:
    return _moved(batch, *step, edge=True)[:, :, ::mirror]


def _shifted_back(step: tuple[int, int], mirror: int, size: tuple[int, int], maps: np.ndarray) -> np.ndarray:
    down, right = (-s * n // side for s, n, side in zip(step, maps.shape[1:], size, strict=True))
    return _moved(maps[:, :, ::mirror], down, right)


def _moved(array: np.ndarray, down: int, right: int, edge: bool = False) -> np.ndarray:
    """(n, h, w, ...) moved by so many cells; what comes in is the edge's value, or 0."""
    margins = ((0, 0), (abs(down), abs(down)), (abs(right), abs(right)), *((0, 0),) * (array.ndim - 3))
    padded = np.pad(array, margins, mode="edge" if edge else "constant")
    top, left = abs(down) - down, abs(right) - right
    return padded[:, top : top + array.shape[1], left : left + array.shape[2]]


def _activation(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:  # a method that shows what the layer put out
    return activation
