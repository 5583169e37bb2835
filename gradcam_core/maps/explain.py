"""`explain`: a photo and a network in, a map of every layer out."""

from collections.abc import Sequence
from importlib import metadata
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..errors import SettingError, TargetError
from ..networks.loading import network_of
from ..photos.channels import resized
from ..settings import METHODS, SCORES, SMOOTHINGS, VERSION, Progress, check_count
from .explanation import Explanation, HeatMap

if TYPE_CHECKING:
    from ..capture.layers import Layer
    from ..networks.classifier import Classifier
    from ..networks.loading import NetworkLike
    from ..photos import Source
    from .passes import Run

# TensorFlow is imported where it is needed: whoever only imports `explain` must not wait seconds for it.


def explain(
    network: "NetworkLike",
    photo: "Source",
    target: int | str | None = None,
    layers: str | Sequence[str] = "stages",
    *,
    method: str = "gradcam",
    score: str = "logit",
    instead_of: int | str | None = None,
    weight: float = 1.0,
    against: bool = False,
    smoothing: str = "none",
    region: np.ndarray | None = None,
    top: int = 5,
    progress: Progress | None = None,
) -> Explanation:
    """Show where each layer of a network finds evidence for a class in a photo.

    One forward and one backward pass serve all layers.

    Args:
        network: what `load` gives; or a name, a path or a Keras model, as `load` takes it. A model is traced at each
            call: for many photos, load it once.
        photo: anything `read_image` takes; for a network of other channels what `Classifier.read` takes.
        target: a class by index, name or WordNet id; None takes the most probable one, or the first value.
        layers: "stages" (one per resolution stage), "all", "last", a name, or names. The method "cam" has one layer,
            which every one of these words means.
        method: how activations and gradients become a map, one of ``METHODS``.
        score: "logit" (sound also where the network is sure), or "probability" (the arithmetic of many articles).
        instead_of: another class: why the target and not this one? The score is then the target's minus this one's,
            as in Prabhushankar et al., "Contrastive Explanations in Neural Networks", ICIP 2020, section 3.
        weight: of the score that is taken away, from 0 to 1000; 0 is as if there were none.
        against: show what speaks against it, the counterfactual explanation of Selvaraju et al., ICCV 2017, section 3:
            the score is negated.
        smoothing: the mean over several views of the photo: "flips" (2 passes), "shifts" (10) or "noise" (16), see
            `passes.smoothed`.
        region: for a network that gives a class for each pixel: the part of the photo whose scores are summed up,
            (H, W) of 0 (or False) to 1 (or True), of any size; None takes, for each class, the pixels that have it.
        top: how many predictions to keep.
        progress: called as progress(done, total) where there are many passes; what it raises ends the work.

    Raises:
        PhotoError, TargetError, LayerError, SettingError: each says what is wrong and what would be right.

    >>> import numpy as np, gradcam_core as gc
    >>> result = gc.explain(gc.load("EfficientNetLite0"), np.zeros((60, 80, 3), np.uint8))
    >>> len(result.predictions), {heat_map.heat.ndim for heat_map in result.maps.values()}
    (5, {2})
    """
    return explain_classes(
        network,
        photo,
        [target],
        layers,
        method=method,
        score=score,
        instead_of=instead_of,
        weight=weight,
        against=against,
        smoothing=smoothing,
        region=region,
        top=top,
        progress=progress,
    )[0]


def explain_classes(
    network: "NetworkLike",
    photo: "Source",
    targets: Sequence[int | str | None],
    layers: str | Sequence[str] = "stages",
    *,
    method: str = "gradcam",
    score: str = "logit",
    instead_of: int | str | None = None,
    weight: float = 1.0,
    against: bool = False,
    smoothing: str = "none",
    region: np.ndarray | None = None,
    top: int = 5,
    progress: Progress | None = None,
) -> tuple[Explanation, ...]:
    """`explain` for several classes, which go through the network as one batch.

    Args:
        targets: the classes; None among several takes the most probable one, which is found out beforehand.

    The other arguments, and the errors, are those of `explain`.

    >>> import numpy as np, gradcam_core as gc
    >>> network, photo = gc.load("EfficientNetLite0"), np.zeros((60, 80, 3), np.uint8)
    >>> results = gc.explain_classes(network, photo, ["banana", "teapot"])
    >>> [result.target.name for result in results]
    ['banana', 'teapot']
    """
    network = network_of(network)
    from .gradients import trace
    from .selection import select

    check_count("predictions", top)
    if not isinstance(targets, list | tuple) or not targets:
        raise TargetError("The classes are given as a list of at least one.")
    if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= weight <= 1000:
        raise SettingError(f"The weight of the other class is a number from 0 to 1000, not {weight!r}.")
    _check_together(method, score, smoothing, against, instead_of is not None)
    photo = network.read(photo)
    indices = [network.resolve_target(target) for target in targets]
    if network.measures == "value":  # none is more probable than another
        indices = [index or 0 for index in indices]
    other = network.resolve_target(instead_of)
    chosen = select(network, layers, method)
    within = None if region is None else _within(network, region, method, smoothing)
    batch = network.to_input(photo)
    is_plain = METHODS[method].is_one_pass and smoothing == "none"
    if None in indices and not (is_plain and len(indices) == 1 and other is None and not against):
        best = int(network.predict_logits(batch)[0].argmax())
        indices = [best if index is None else index for index in indices]
    weights = None
    if indices != [None]:
        weights = np.eye(len(network.labels), dtype=np.float32)[indices]
        if other is not None:
            if other in indices:
                same = network.labels[other].name
                raise TargetError(f"{same} cannot be held against itself. Choose another class instead.")
            weights[:, other] -= weight
        weights = -weights if against else weights
    if is_plain and len(indices) == 1:
        logits, raw = trace(network, tuple(layer.name for layer in chosen), method, score)(
            batch, None if weights is None else weights[0], within
        )
        raw = {name: values[np.newaxis] for name, values in raw.items()}
    else:
        run = run_of(network, chosen, method, score, smoothing, progress)
        logits, raw = run(batch, weights) if within is None else run(batch, weights, within)
    probabilities = network.probabilities(logits)
    predictions = network.top(probabilities, top)
    size = (photo.shape[0], photo.shape[1])
    return tuple(
        Explanation(
            network=network.name,
            photo=photo,
            predictions=predictions,
            target=predictions[0] if index is None else network.prediction(index, probabilities),
            maps=MappingProxyType({layer.name: HeatMap(layer, raw[layer.name][row], size) for layer in chosen}),
            score=score,
            method=method,
            versions=MappingProxyType(versions()),
            instead_of=None if other is None else network.prediction(other, probabilities),
            weight=float(weight),
            against=against,
            smoothing=smoothing,
            region=None if within is None else float(within.mean()),
            shown=network.shown,
        )
        for row, index in enumerate(indices)
    )


def check(
    network: "Classifier",
    layers: str | Sequence[str] = "stages",
    *,
    method: str = "gradcam",
    score: str = "logit",
    smoothing: str = "none",
    against: bool = False,
    is_contrast: bool = False,
) -> None:
    """Refuse what `explain` would refuse for any photo, before there is one.

    Args:
        is_contrast: whether a class is held against another.

    The other arguments are those of `explain`.

    Raises:
        LayerError, SettingError: these layers, or these settings together, cannot be explained.
    """
    from .selection import select

    _check_together(method, score, smoothing, against, is_contrast)
    chosen = select(network, layers, method)
    if not METHODS[method].is_one_pass or smoothing != "none":
        run_of(network, chosen, method, score, smoothing, None)


def _check_together(method: str, score: str, smoothing: str, against: bool, is_contrast: bool) -> None:
    if not isinstance(against, bool):
        raise SettingError(f"What speaks against the class is asked for by True or False, not {against!r}.")
    check_names(method, score, smoothing)
    if method == "eigencam" and (against or is_contrast):
        raise SettingError(
            "Eigen-CAM is the same for every class, so it shows neither a contrast nor what speaks against one. Choose "
            "another method, such as EigenGrad-CAM."
        )


def check_names(method: str, score: str, smoothing: str) -> None:
    """Refuse a method, a score or a smoothing that is not known, or that do not go together."""
    for name, value, known in (
        ("method", method, METHODS),
        ("score", score, SCORES),
        ("smoothing", smoothing, SMOOTHINGS),
    ):
        if not isinstance(value, str) or value not in known:
            raise SettingError(f"There is no {name} {value!r}. There is: {', '.join(known)}.")
    if method == "cam" and score != "logit":
        raise SettingError("CAM shows the head's weights, which make the logit. Choose it as the score, or Grad-CAM.")


def _within(network: "Classifier", region: np.ndarray, method: str, smoothing: str) -> np.ndarray:
    """A region of the photo as weights of the scores of the network's pixels: float32 (h, w)."""
    if not network.is_grid:
        raise SettingError(
            f"A region goes with networks that give a class for each pixel; {network.name} gives one for the photo."
        )
    if not METHODS[method].is_one_pass or smoothing != "none":
        raise SettingError("A region goes with a method of one pass, without smoothing. Choose Grad-CAM, for example.")
    try:
        values = np.asarray(region)
    except ValueError:  # a list of rows of different lengths
        values = np.zeros(0)
    is_map = values.ndim == 2 and values.size and values.dtype.kind in "biuf"
    if not is_map or not 0 <= values.min() <= values.max() <= 1:
        raise SettingError("A region is an array (height, width) of 0 (or False) to 1 (or True).")
    if not values.any():
        raise SettingError("The region is empty: mark at least one pixel of it.")
    size = network.recording.output.shape[1:3]
    return resized(values.astype(np.float32)[..., np.newaxis], (size[0], size[1]))[..., 0]


def run_of(
    network: "Classifier", layers: "Sequence[Layer]", method: str, score: str, smoothing: str, progress: Progress | None
) -> "Run":
    """The passes that make the maps of these layers by this method."""
    from . import passes
    from .gradients import trace

    names = tuple(layer.name for layer in layers)
    if method == "scorecam":
        if smoothing != "none":
            raise SettingError("Score-CAM is not smoothed: one view of the photo takes hundreds of passes already.")
        return passes.score_cam(network, names, score, progress)
    run = passes.guided_grad_cam(network, names, score) if method == "guided" else trace(network, names, method, score)
    return run if smoothing == "none" else passes.smoothed(run, network, layers, smoothing, progress)


def versions() -> dict[str, str]:
    """The versions of what computes and draws the maps."""
    import keras
    import tensorflow as tf

    pillow = metadata.version("pillow")
    return {
        "gradcam-explorer": VERSION,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "pillow": pillow,
    }
