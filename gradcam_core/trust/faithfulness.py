"""Whether a heat map can be believed: does hiding what it marks change the prediction, and does it need the network?

Three tests, each of one photo and one class:

- `perturbation_curves`: the hottest pixels go first (deletion) or come first (insertion).
- `average_drop` and `increase_in_confidence`: only what is hot is left of the photo.
- `sanity_check`: a map that stays the same when the network's weights are random says nothing about the network
  (in `sanity.py`).

`assess` runs the first two for all maps of an explanation, beside a random map and a blob in the centre.

Pixels are changed in the RGB photo at the network's input size, before its preprocessing, so that a hidden pixel is
a colour a photo can have. Hidden pixels take the photo's mean colour. Pixels of equal heat are taken in one fixed
random order of patches (`random_map`), never from one side.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from ..errors import NetworkError, SettingError
from ..photos import read_image
from ..pictures.render import resize_heat
from ..settings import BATCH_PIXELS, Progress, check_count
from .sanity import SanityCheck, sanity_check

if TYPE_CHECKING:
    from ..maps.explanation import Explanation
    from ..networks.classifier import Classifier, Prediction
    from ..photos import Source

__all__ = [
    "SHARE",
    "Assessment",
    "Curves",
    "Hidden",
    "MapTest",
    "SanityCheck",
    "assess",
    "average_drop",
    "centre_blob",
    "curves_of_maps",
    "hide_hottest",
    "increase_in_confidence",
    "keep_hottest",
    "perturbation_curves",
    "random_map",
    "sanity_check",
]

SHARE = 0.2  # of the photo, hidden for the sentence

_SEEDS = range(3)  # of the random baseline, where it is a mean
_TIES = 999  # the seed of the order of pixels of equal heat: none that the random baseline uses


@dataclass(frozen=True, eq=False)
class Curves:
    """The probability of the target while the hottest pixels are hidden, and while they are brought back.

    Attributes:
        deletion: float32 (steps + 1,) in [0, 1], from the whole photo to its mean colour. Low is good.
        insertion: float32 (steps + 1,) in [0, 1], from the blurred photo to the whole one. High is good.

    Source: Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
    section 4.1 and algorithm 1.
    """

    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """float64 (steps + 1,): the share of pixels hidden, or brought back, at each point of the curves."""
        return np.linspace(0, 1, len(self.deletion))

    @property
    def deletion_area(self) -> float:
        """The area under the deletion curve, in [0, 1], by the trapezoidal rule."""
        return _area(self.deletion)

    @property
    def insertion_area(self) -> float:
        """The area under the insertion curve, in [0, 1], by the trapezoidal rule."""
        return _area(self.insertion)


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


@dataclass(frozen=True, eq=False)
class MapTest:
    """What `assess` found of one map. All but the sentence is None where the map is empty.

    Attributes:
        curves: of deletion and insertion.
        drop: what the probability loses, in percent, when only what is hot is left of the photo.
        increase: 100 where it gains, else 0; for the random map in percent of its draws.
        share: of the photo that is hidden: 0.2, or less where the map marks less.
        hidden: the probability of the target with this share hidden.
        hidden_at_random: the same when as much is hidden at random.
        sentence: the finding in words.
    """

    sentence: str
    curves: Curves | None = None
    drop: float | None = None
    increase: float | None = None
    share: float | None = None
    hidden: float | None = None
    hidden_at_random: float | None = None


@dataclass(frozen=True, eq=False)
class Assessment:
    """What `assess` found.

    Attributes:
        target: the class that is explained, with its probability for the whole photo.
        maps: `MapTest` by layer name, in network order.
        random: the same of random maps: what any map must beat. Each point of its curves is a map of its own.
        centre: the same of a blob in the centre, where most photos have their subject.
    """

    target: "Prediction"
    maps: Mapping[str, MapTest]
    random: MapTest
    centre: MapTest


# --- deletion and insertion ---


def perturbation_curves(
    network: "Classifier",
    photo: "Source",
    target: int | str | None,
    heat: np.ndarray,
    *,
    steps: int = 16,
    progress: Progress | None = None,
) -> Curves:
    """Hide a photo from its hottest pixels on, bring it back in the same order, and watch the probability.

    Deletion goes from the photo to its mean colour; insertion from a strong Gaussian blur (its standard deviation
    is a tenth of the shorter side), which leaves the colours but not the shapes, to the photo.

    Args:
        network: a loaded network.
        photo: anything `read_image` takes.
        target: a class by index, name or WordNet id; None takes the most probable one.
        heat: (h, w) in [0, 1], of any size: it covers the whole photo.
        steps: from the first to the last pixel; each changes the same number of pixels.
        progress: called as progress(done, total), in photos, after each batch; what it raises ends the test.

    Raises:
        PhotoError, TargetError, SettingError: each says what is wrong and what would be right.
        NetworkError: the network gives values that are not numbers.

    Source: Petsiuk et al., BMVC 2018, algorithm 1.

    >>> import numpy as np, gradcam_core as gc
    >>> photo = np.zeros((60, 80, 3), np.uint8)
    >>> perturbation_curves(gc.load("bundled"), photo, "banana", np.ones((9, 9)), steps=4).deletion.shape
    (5,)
    """
    return curves_of_maps(network, photo, target, {"": heat}, steps=steps, progress=progress)[""]


def curves_of_maps(
    network: "Classifier",
    photo: "Source",
    target: int | str | None,
    heats: Mapping[str, np.ndarray],
    *,
    steps: int = 16,
    progress: Progress | None = None,
) -> dict[str, Curves]:
    """`perturbation_curves` of several maps at once: their photos share batches, and both ends of the curves.

    Args:
        heats: name -> (h, w) in [0, 1].

    The other arguments, and the errors, are those of `perturbation_curves`.
    """
    check_count("steps", steps)
    photo = read_image(photo)
    scene = _scene(network, photo)
    variants = _ends(scene)
    for name, heat in heats.items():
        variants += _curve_variants(name, scene, [_ranks(heat, network.input_size)] * (steps - 1))
    found = _probabilities(network, _target_index(network, photo, target), variants, progress)
    return {name: _curves(name, found) for name in heats}


def random_map(shape: tuple[int, int], seed: int, cells: int = 14) -> np.ndarray:
    """A map that knows nothing: what every map must beat.

    It is made of smooth patches as large as a deep layer's: lone random pixels would be noise that no photo
    has, and hiding them would hurt a network more than any map does.

    Args:
        shape: (h, w) of the map.
        seed: of the random numbers.
        cells: how many random values there are on each side, before they are interpolated.

    Returns:
        float32 (h, w) in [0, 1].

    >>> random_map((72, 72), seed=0).shape
    (72, 72)
    """
    values = np.random.default_rng(seed).random((cells, cells), np.float32)
    return resize_heat(values, width=shape[1], height=shape[0])


def centre_blob(shape: tuple[int, int]) -> np.ndarray:
    """A Gaussian in the centre; its standard deviation is a quarter of each side.

    Args:
        shape: (h, w) of the map.

    Returns:
        float32 (h, w) in (0, 1].

    >>> int(centre_blob((5, 5))[2].argmax())
    2
    """
    rows, columns = (np.exp(-(((np.arange(n) - (n - 1) / 2) / (n / 4)) ** 2) / 2) for n in shape)
    return np.outer(rows, columns).astype(np.float32)


# --- the hottest share hidden, and the rest hidden ---


def hide_hottest(
    network: "Classifier",
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
    >>> hide_hottest(gc.load("bundled"), photo, "banana", np.eye(9), 0.2).photo.shape
    (72, 72, 3)
    """
    if isinstance(share, bool) or not isinstance(share, (int, float, np.number)) or not 0 <= share <= 1:
        raise SettingError(f"The share to hide is a number from 0 to 1, not {share!r}.")
    photo = read_image(photo)
    scene = _scene(network, photo)
    ranks = _ranks(heat, network.input_size)
    count = round(share * ranks.size) if np.any(heat) else 0
    hidden = _replaced(scene.image, scene.blank, ranks, count)
    (probabilities,) = _predict(network, [hidden])
    return Hidden(
        photo=hidden,
        share=count / ranks.size,
        target=network.prediction(_target_index(network, photo, target), probabilities),
        predictions=network.top(probabilities, top),
    )


def keep_hottest(
    network: "Classifier", photo: "Source", target: int | str | None, heat: np.ndarray
) -> tuple[float, float]:
    """The probability of the target for the whole photo, and for the photo times its heat: Y and O.

    The second photo is the explanation map of Chattopadhay et al. 2018, section 4: black where the heat is 0.

    Args:
        network, photo, target, heat: as for `perturbation_curves`.

    Raises:
        PhotoError, TargetError, SettingError, NetworkError: as `perturbation_curves`.
    """
    photo = read_image(photo)
    index = _target_index(network, photo, target)
    image = network.resized(photo)
    whole, explained = _predict(network, [image, _lit(image, heat)])
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


# --- all maps of an explanation ---


def assess(
    network: "Classifier", explanation: "Explanation", steps: int = 16, progress: Progress | None = None
) -> Assessment:
    """Test every map of an explanation, beside random maps and a blob in the centre.

    It asks for 2 * steps photos a map, 2 * steps for the blob, 2 * steps + 4 or more for the random maps, and 3.

    Args:
        network: the network that was explained.
        explanation: what `explain` gave.
        steps, progress: as for `perturbation_curves`.

    Raises:
        SettingError: the explanation is of another network, or steps is not a whole number from 1 up.
        NetworkError: the network gives values that are not numbers.

    >>> import numpy as np, gradcam_core as gc
    >>> network = gc.load("bundled")
    >>> result = assess(network, gc.explain(network, np.zeros((60, 80, 3), np.uint8), "banana", "last"), steps=2)
    >>> result.random.sentence
    'hiding 20 % at random leaves banana at ...'
    """
    check_count("steps", steps)
    if explanation.network != network.name:
        raise SettingError(f"This is an explanation of {explanation.network}, not of {network.name}.")
    size, scene, target = network.input_size, _scene(network, explanation.photo), explanation.target
    heats = {("layer", name): m.heat for name, m in explanation.maps.items() if not m.is_empty}
    heats["centre"] = centre_blob(size)
    ranks = {key: _ranks(heat, size) for key, heat in heats.items()}
    random_maps = [random_map(size, seed) for seed in range(max(len(_SEEDS), steps - 1))]
    random_ranks = [_ranks(heat, size) for heat in random_maps]

    most = max(1, round(SHARE * size[0] * size[1]))
    counts = {key: min(most, np.count_nonzero(resize_heat(heat, size[1], size[0]))) for key, heat in heats.items()}
    variants = _ends(scene) + _curve_variants("random", scene, random_ranks[: steps - 1])
    for seed in _SEEDS:
        variants.append((("random", "lit"), partial(_lit, scene.image, random_maps[seed])))
        for count in {most, *counts.values()}:
            hide = partial(_replaced, scene.image, scene.blank, random_ranks[seed], count)
            variants.append((("random", "hidden", count), hide))
    for key, heat in heats.items():
        variants += _curve_variants(key, scene, [ranks[key]] * (steps - 1))
        variants.append(((key, "lit"), partial(_lit, scene.image, heat)))
        variants.append(((key, "hidden"), partial(_replaced, scene.image, scene.blank, ranks[key], counts[key])))
    found = _probabilities(network, target.index, variants, progress)
    whole = float(found["image"][0])

    def tested(key: Hashable, the: str, where: str) -> MapTest:
        count = counts.get(key, most)
        share = count / math.prod(size)
        by_random = float(found["random", "hidden", count].mean())
        hidden = by_random if key == "random" else float(found[key, "hidden"][0])
        sentence = f"hiding {the}{_percent(share)} {where} {_change(whole, hidden, target.name)}"
        if key != "random":
            sentence += f"; hiding {_percent(share)} at random {_change(whole, by_random, 'it', short=True)}"
        return MapTest(
            sentence=sentence,
            curves=_curves(key, found),
            drop=average_drop(whole, found[key, "lit"]),
            increase=increase_in_confidence(whole, found[key, "lit"]),
            share=share,
            hidden=hidden,
            hidden_at_random=by_random,
        )

    maps = {
        name: MapTest(f"{name} marks nothing, so there is nothing to hide")
        if heat_map.is_empty
        else tested(("layer", name), "the ", f"that {name} marks")
        for name, heat_map in explanation.maps.items()
    }
    return Assessment(
        target=target,
        maps=MappingProxyType(maps),
        random=tested("random", "", "at random"),
        centre=tested("centre", "the ", "in the centre"),
    )


def _percent(share: float) -> str:
    if share < 0.001:
        return "0 %" if share == 0 else "< 0.1 %"
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def _change(before: float, after: float, name: str, short: bool = False) -> str:
    if _percent(before) == _percent(after):
        return f"leaves {name} at {_percent(after)}"
    verb = "lowers" if after < before else "raises"
    start = "" if short else f" from {_percent(before)}"
    return f"{verb} {name}{start} to {_percent(after)}"


# --- photos, and what the network makes of them ---


class _Scene(NamedTuple):
    """A photo at the network's input size, and what its pixels are replaced by. All uint8 (h, w, 3)."""

    image: np.ndarray
    blank: np.ndarray  # its mean colour
    blurred: np.ndarray


Variant = tuple[Hashable, Callable[[], np.ndarray]]  # what it is for, and how the photo is made when its batch comes


def _scene(network: "Classifier", photo: np.ndarray) -> _Scene:
    image = network.resized(photo)
    blank = np.empty_like(image)
    blank[:] = np.rint(image.mean((0, 1)))
    return _Scene(image, blank, cv2.GaussianBlur(image, (0, 0), min(image.shape[:2]) / 10))


def _ranks(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """int32 (h, w): the place of each pixel when they are ordered by their heat, 0 the hottest."""
    heat = resize_heat(heat, width=size[1], height=size[0])
    order = np.lexsort((random_map(size, _TIES).ravel(), -heat.ravel()))
    ranks = np.empty(heat.size, np.int32)
    ranks[order] = np.arange(heat.size, dtype=np.int32)
    return ranks.reshape(size)


def _replaced(image: np.ndarray, by: np.ndarray, ranks: np.ndarray, count: int) -> np.ndarray:
    return np.where((ranks < count)[..., np.newaxis], by, image)


def _lit(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    heat = resize_heat(heat, width=image.shape[1], height=image.shape[0])
    return np.rint(image * heat[..., np.newaxis]).astype(np.uint8)


def _ends(scene: _Scene) -> list[Variant]:
    return [(end, partial(getattr, scene, end)) for end in ("image", "blank", "blurred")]


def _curve_variants(key: Hashable, scene: _Scene, ranks: Sequence[np.ndarray]) -> list[Variant]:
    """The photos between the ends of both curves; ``ranks`` are those of the map at each of them."""
    variants = []
    for step, rank in enumerate(ranks, 1):
        count = round(step * rank.size / (len(ranks) + 1))
        variants.append(((key, "deletion"), partial(_replaced, scene.image, scene.blank, rank, count)))
        variants.append(((key, "insertion"), partial(_replaced, scene.blurred, scene.image, rank, count)))
    return variants


def _curves(key: Hashable, found: Mapping[Hashable, np.ndarray]) -> Curves:
    none = np.empty(0, np.float32)  # a curve of one step has only its ends
    return Curves(
        deletion=np.concatenate([found["image"], found.get((key, "deletion"), none), found["blank"]]),
        insertion=np.concatenate([found["blurred"], found.get((key, "insertion"), none), found["image"]]),
    )


def _area(curve: np.ndarray) -> float:
    return float(np.mean((curve[:-1] + curve[1:]) / 2, dtype=np.float64))


def _probabilities(
    network: "Classifier", target: int, variants: Sequence[Variant], progress: Progress | None
) -> dict[Hashable, np.ndarray]:
    """The target's probability for each photo: float32 (n,) for the n photos of each key, in their order."""
    found = defaultdict(list)
    size = min(32, max(1, BATCH_PIXELS // math.prod(network.input_size)))
    for start in range(0, len(variants), size):
        chunk = variants[start : start + size]
        for (key, _), probabilities in zip(chunk, _predict(network, [make() for _, make in chunk]), strict=True):
            found[key].append(probabilities[target])
        if progress:
            progress(start + len(chunk), len(variants))
    return {key: np.array(values, np.float32) for key, values in found.items()}


def _predict(network: "Classifier", images: Sequence[np.ndarray]) -> list[np.ndarray]:
    logits = network.predict_logits(np.concatenate([network.to_input(image) for image in images]))
    if not np.isfinite(logits).all():
        raise NetworkError(f"{network.name} gives values that are not numbers for a changed photo.")
    return [network.probabilities(row) for row in logits]


def _target_index(network: "Classifier", photo: np.ndarray, target: int | str | None) -> int:
    index = network.resolve_target(target)
    return network.predict(photo, 1)[0].index if index is None else index
