"""Photos of which a part is hidden, and what the network makes of them.

Pixels are changed in the RGB photo at the network's input size, before its preprocessing, so that a hidden pixel is
a colour a photo can have. Hidden pixels take the photo's mean colour. Pixels of equal heat are taken in one fixed
random order of patches (`random_map`), never from one side.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from ..errors import SettingError
from ..networks.loading import network_of
from ..pictures.render import resize_heat
from ..settings import BATCH_PIXELS, Progress
from .baselines import random_map

if TYPE_CHECKING:
    from ..networks.classifier import Classifier
    from ..networks.loading import NetworkLike
    from ..networks.measures import Prediction
    from ..photos import Source

SHARE = 0.2  # of the photo, hidden for a sentence
_TIES = 999  # the seed of the order of pixels of equal heat: none that the random baseline uses


@dataclass(frozen=True, eq=False)
class Hidden:
    """A photo whose hottest pixels are hidden, and what the network makes of it.

    Attributes:
        photo: uint8 (h, w, 3), RGB, at the network's input size.
        share: of the pixels that are hidden; 0 where the map is empty, for it marks nothing.
        target: the class that was asked for, with its probability now.
        predictions: the most probable classes now, most probable first.
    """

    photo: np.ndarray
    share: float
    target: "Prediction"
    predictions: "tuple[Prediction, ...]"


def hide_hottest(
    network: "NetworkLike",
    photo: "Source",
    target: int | str | None,
    heat: np.ndarray,
    share: float = SHARE,
    *,
    top: int = 5,
) -> Hidden:
    """Hide the hottest share of a photo under its mean colour, and ask the network again.

    Args:
        network, photo, target, heat: as for `perturbation_curves`.
        share: of the pixels, in [0, 1]. Where the map marks fewer (heat above 0), the others are hidden at random;
            where it marks none, nothing is hidden.
        top: how many predictions to keep.

    Raises:
        PhotoError, TargetError, SettingError, NetworkError: as `perturbation_curves`.

    >>> import numpy as np, gradcam_core as gc
    >>> photo = np.zeros((60, 80, 3), np.uint8)
    >>> hide_hottest(gc.load("EfficientNetLite0"), photo, "banana", np.eye(9), 0.2).photo.shape
    (224, 224, 3)
    """
    network = network_of(network)
    if isinstance(share, bool) or not isinstance(share, (int, float, np.number)) or not 0 <= share <= 1:
        raise SettingError(f"The share to hide is a number from 0 to 1, not {share!r}.")
    photo = network.read(photo)
    scene = scene_of(network, photo)
    ranks = ranks_of(heat, network.input_size)
    count = round(share * ranks.size) if np.any(heat) else 0
    hidden = replaced(scene.image, scene.blank, ranks, count)
    (probabilities,) = predictions_of(network, [hidden])
    return Hidden(
        photo=hidden,
        share=count / ranks.size,
        target=network.prediction(target_index(network, photo, target), probabilities),
        predictions=network.top(probabilities, top),
    )


def keep_hottest(
    network: "NetworkLike", photo: "Source", target: int | str | None, heat: np.ndarray
) -> tuple[float, float]:
    """The probability of the target for the whole photo, and for the photo times its heat: Y and O.

    The second photo is the explanation map of Chattopadhay et al. 2018, section 4: black where the heat is 0.

    Args:
        network, photo, target, heat: as for `perturbation_curves`.

    Raises:
        PhotoError, TargetError, SettingError, NetworkError: as `perturbation_curves`.
    """
    network = network_of(network)
    photo = network.read(photo)
    index = target_index(network, photo, target)
    image = network.resized(photo)
    whole, explained = predictions_of(network, [image, lit(image, heat)])
    return float(whole[index]), float(explained[index])


def average_drop(whole: float | np.ndarray, explained: float | np.ndarray) -> float:
    r"""How much probability is lost when only what is hot is left, in percent. Low is good.

    :math:`\frac{100}{N} \sum_i \max(0, Y_i - O_i) / Y_i`; a photo with :math:`Y_i = 0` has nothing to lose.

    Args:
        whole: Y, the probability of the target for the whole photo: of one photo, or (N,).
        explained: O, the same for the photo times its heat (`keep_hottest` gives both).

    Source: Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
    Networks", WACV 2018, section 4, "Average Drop %".

    >>> average_drop(0.5, 0.125), average_drop(np.array([0.5, 0.5]), np.array([0.125, 0.9]))
    (75.0, 37.5)
    """
    whole, explained = np.asarray(whole, np.float64), np.asarray(explained, np.float64)
    lost = np.maximum(0, whole - explained)
    return float(100 * np.mean(lost / np.where(whole > 0, whole, 1)))


def increase_in_confidence(whole: float | np.ndarray, explained: float | np.ndarray) -> float:
    r"""How many photos gain probability when only what is hot is left, in percent. High is good.

    :math:`\frac{100}{N} \sum_i 1[Y_i < O_i]`; for one photo it is 0 or 100.

    Args and source: as `average_drop`; there it is "% Increase in Confidence".

    >>> increase_in_confidence(np.array([0.8, 0.5]), np.array([0.2, 0.9]))
    50.0
    """
    return float(100 * np.mean(np.asarray(whole) < np.asarray(explained)))


class Scene(NamedTuple):
    """A photo at the network's input size, and what its pixels are replaced by. All of one shape and type."""

    image: np.ndarray
    blank: np.ndarray  # its mean colour
    blurred: np.ndarray


Variant = tuple[Hashable, Callable[[], np.ndarray]]  # what it is for, and how the photo is made when its batch comes


def scene_of(network: "Classifier", photo: np.ndarray) -> Scene:
    image = network.resized(photo)
    blank = np.empty_like(image)
    blank[:] = _like(image.mean((0, 1)), image)
    return Scene(image, blank, cv2.GaussianBlur(image, (0, 0), min(image.shape[:2]) / 10))


def ranks_of(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """int32 (h, w): the place of each pixel when they are ordered by their heat, 0 the hottest."""
    heat = resize_heat(heat, width=size[1], height=size[0])
    order = np.lexsort((random_map(size, _TIES).ravel(), -heat.ravel()))
    ranks = np.empty(heat.size, np.int32)
    ranks[order] = np.arange(heat.size, dtype=np.int32)
    return ranks.reshape(size)


def replaced(image: np.ndarray, by: np.ndarray, ranks: np.ndarray, count: int) -> np.ndarray:
    return np.where((ranks < count)[..., np.newaxis], by, image)


def lit(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    heat = resize_heat(heat, width=image.shape[1], height=image.shape[0])
    return _like(image * heat[..., np.newaxis], image)


def _like(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Values of the type of the image, to the nearest level where it has levels."""
    return (np.rint(values) if image.dtype == np.uint8 else values).astype(image.dtype)


def probabilities_of(
    network: "Classifier", target: int, variants: Sequence[Variant], progress: Progress | None
) -> dict[Hashable, np.ndarray]:
    """The target's probability for each photo: float32 (n,) for the n photos of each key, in their order."""
    found = defaultdict(list)
    size = min(32, max(1, BATCH_PIXELS // math.prod(network.input_size)))
    for start in range(0, len(variants), size):
        chunk = variants[start : start + size]
        for (key, _), probabilities in zip(chunk, predictions_of(network, [make() for _, make in chunk]), strict=True):
            found[key].append(probabilities[target])
        if progress:
            progress(start + len(chunk), len(variants))
    return {key: np.array(values, np.float32) for key, values in found.items()}


def predictions_of(network: "Classifier", images: Sequence[np.ndarray]) -> list[np.ndarray]:
    logits = network.predict_logits(np.concatenate([network.to_input(image) for image in images]))
    return [network.probabilities(row) for row in logits]


def target_index(network: "Classifier", photo: np.ndarray, target: int | str | None) -> int:
    index = network.resolve_target(target)
    return network.predict(photo, 1)[0].index if index is None else index
