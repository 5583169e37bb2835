"""Whether a heat map can be believed: does hiding what it marks change the prediction, and does it need the network?

Three tests, each of one photo and one class:

- `perturbation_curves`: the hottest pixels go first (deletion) or come first (insertion).
- `average_drop` and `increase_in_confidence`: only what is hot is left of the photo.
- `sanity_check`: a map that stays the same when the network's weights are random says nothing about the network.

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
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from .errors import NetworkError, SettingError
from .explanation import explain
from .image import read_image
from .render import resize_heat
from .settings import BATCH_PIXELS

if TYPE_CHECKING:
    import keras

    from .classifier import Classifier, Prediction
    from .explanation import Explanation
    from .image import Source

Progress = Callable[[int, int], None]  # done, total; what it raises ends the test
MakeMaps = Callable[["Classifier"], Mapping[str, np.ndarray]]  # name -> float (h, w), signed

SHARE = 0.2  # of the photo, hidden for the sentence
PASSES_BELOW = 0.7  # absolute rank correlation: less than half of the ranks' variance (0.7 squared) is left

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
    _check_count("steps", steps)
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
    _check_count("steps", steps)
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


def _check_count(what: str, count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SettingError(f"The number of {what} is a whole number from 1 up, not {count!r}.")


# --- does the map need the network? ---


@dataclass(frozen=True, eq=False)
class SanityCheck:
    """How much of each map is left while the network's weights become random, from the head down.

    Attributes:
        randomised: for each step the shallowest layer whose weights are random by then, as all above it are.
        rank_correlation: float32 (steps,) in [0, 1] by name of the map: the absolute rank correlation (Spearman)
            with the map of the trained network, both signed, before the ReLU; absolute, for a map that only
            changes its sign is the same picture. A mean over the draws of random weights. A map that is the same
            everywhere has no ranks; its correlation counts as 0.
        ssim: float32 (steps,) by name of the map: the structural similarity of both heat maps (after the ReLU, in
            [0, 1]), a mean as well. It is shown, and not judged: two nearly empty maps are similar.
        untestable: the maps that are the same everywhere from the start.

    Source: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, section 3.1 (cascading randomization).
    """

    randomised: tuple[str, ...]
    rank_correlation: Mapping[str, np.ndarray]
    ssim: Mapping[str, np.ndarray]
    untestable: frozenset[str] = frozenset()

    @property
    def passes(self) -> Mapping[str, bool | None]:
        """By name of the map: whether its rank correlation is below 0.7 once all weights are random.

        A map made of the photo alone has 1. The maps of trained networks had 0.05 to 0.45 where this was measured;
        it is never near 0, for a small map resembles another one by chance. None where the map is the same
        everywhere from the start, so that nothing can be said.
        """
        return {
            name: None if name in self.untestable else bool(values[-1] < PASSES_BELOW)
            for name, values in self.rank_correlation.items()
        }


def sanity_check(
    network: "Classifier",
    photo: "Source",
    target: int | str | None = None,
    layers: str | Sequence[str] = "stages",
    *,
    draws: int = 5,
    progress: Progress | None = None,
    **settings: Any,  # noqa: ANN401
) -> SanityCheck:
    """Make a copy's weights random from the head down, and see whether the maps change.

    Args:
        network: a loaded network; it is not changed, and in memory twice meanwhile.
        photo, target, layers: as for `explain`.
        draws, progress: as for `randomisation_test`, which takes maps of any other making.
        settings: the others of `explain`: method, score, instead_of, ...

    Raises:
        PhotoError, TargetError, LayerError, SettingError: as `explain`.
        NetworkError: as `randomisation_test`.

    >>> import numpy as np, gradcam_core as gc
    >>> check = sanity_check(gc.load("bundled"), np.zeros((60, 80, 3), np.uint8), "banana", "last", draws=1)
    >>> len(check.randomised), list(check.passes)
    (6, ['block5_conv2_relu'])
    """
    photo = read_image(photo)
    index = _target_index(network, photo, target)

    def make_maps(network: "Classifier") -> dict[str, np.ndarray]:
        return {name: m.raw for name, m in explain(network, photo, index, layers, **settings).maps.items()}

    return randomisation_test(network, make_maps, draws=draws, progress=progress)


def randomisation_test(
    network: "Classifier", make_maps: MakeMaps, *, blocks: int = 6, draws: int = 5, progress: Progress | None = None
) -> SanityCheck:
    r"""`sanity_check` of maps of any making.

    The layers with weights are divided into blocks of equally many layers. From the head down, one block after
    another is set as for a new network: kernels normal with a variance of :math:`2 / n` (He et al. 2015, equation
    10, n the inputs of a cell), scales and variances 1, all else 0. Statistics of the input (`Normalization`) stay.

    Args:
        network: a loaded network; it is not changed, and in memory twice meanwhile.
        make_maps: the maps of the network it is given, float (h, w) by name, signed.
        blocks: how many steps there are, at most.
        draws: how often all this is done, each time with other random weights, always the same ones.
        progress: called as progress(done, total), in calls of make_maps; what it raises ends the test.

    Raises:
        NetworkError: the network cannot be copied, or gives values that are not numbers.
        SettingError: blocks or draws is not a whole number from 1 up.

    Source: Adebayo et al., NeurIPS 2018, section 3.1.
    """
    _check_count("blocks", blocks)
    _check_count("draws", draws)
    trained = make_maps(network)
    copy = _copy(network)
    copied = make_maps(copy)
    if not all(np.allclose(copied[name], raw, rtol=1e-3, atol=1e-4 * np.ptp(raw)) for name, raw in trained.items()):
        raise NetworkError(f"{network.name} cannot be tested: its copy gives other maps.")
    weighted = _weighted(copy)
    parts = [part for part in np.array_split(np.arange(len(weighted)), blocks) if len(part)]
    ranks, similarities = defaultdict(list), defaultdict(list)
    for draw in range(draws):
        _restore(copy, network)
        rng = np.random.default_rng(draw)
        for step, part in enumerate(parts, 1):
            for i in part:
                _randomise(weighted[i][1], rng)
            for name, raw in make_maps(copy).items():
                ranks[name].append(abs(rank_correlation(raw, trained[name])))
                similarities[name].append(ssim(*(_heat(x, network.input_size) for x in (raw, trained[name]))))
            if progress:
                progress(draw * len(parts) + step, draws * len(parts))

    def means(values: Mapping[str, list[float]]) -> Mapping[str, np.ndarray]:
        shaped = {name: np.float32(listed).reshape(draws, -1) for name, listed in values.items()}
        return MappingProxyType({name: array.mean(0) for name, array in shaped.items()})

    return SanityCheck(
        randomised=tuple(weighted[part[-1]][0] for part in parts),
        rank_correlation=means(ranks),
        ssim=means(similarities),
        untestable=frozenset(name for name, raw in trained.items() if np.ptp(raw) == 0),
    )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape, in [-1, 1]; equal values share their mean rank.

    0 where one of them is the same everywhere.

    >>> rank_correlation(np.array([[1, 2], [3, 9]]), np.array([[0, 10], [20, 21]]))
    1.0
    """
    ranks = []
    for values in (a, b):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        mean_rank = np.cumsum(counts) - (counts - 1) / 2
        ranks.append((mean_rank - (values.size + 1) / 2)[place.ravel()])
    scale = math.sqrt(ranks[0] @ ranks[0] * (ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1] / scale) if scale else 0.0


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """The mean structural similarity of two heat maps of one shape, in [-1, 1]; 1 for the same map.

    Window: a Gaussian of 11 x 11 pixels with a standard deviation of 1.5, the border reflected; K1 = 0.01,
    K2 = 0.03, L = 1.

    Args:
        a, b: float (h, w) in [0, 1].

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 2004, equations 13 to 17.

    >>> ssim(np.eye(20), np.eye(20))
    1.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    mean_a, mean_b, square_a, square_b, product = (
        cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101) for x in (a, b, a * a, b * b, a * b)
    )
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float(np.mean(luminance * (2 * covariance + c2) / (variances + c2)))


def _heat(raw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    positive = np.maximum(raw, 0)
    return resize_heat(positive / (positive.max() or 1), width=size[1], height=size[0])


def _copy(network: "Classifier") -> "Classifier":
    import keras

    from .classifier import Classifier

    try:
        model = keras.models.clone_model(network.model)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise NetworkError(f"{network.name} cannot be tested: Keras cannot copy it ({error}).") from error
    labels = [label.name if label.wordnet_id is None else (label.wordnet_id, label.name) for label in network.labels]
    copy = Classifier(network.name, model, labels, network.input_size, network._preprocess)
    _restore(copy, network)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return copy


def _restore(copy: "Classifier", network: "Classifier") -> None:
    for mine, its in zip(copy.model.weights, network.model.weights, strict=True):
        mine.assign(its)


def _weighted(network: "Classifier") -> list[tuple[str, "keras.Layer"]]:
    """The layers with weights and their names, from the head down, each once."""
    import keras

    from . import graph

    found: dict[int, tuple[str, keras.Layer]] = {}

    def visit(name: str, operation: object, _inputs: object, _output: object) -> None:
        is_layer = isinstance(operation, keras.Layer) and not isinstance(operation, keras.layers.Normalization)
        if is_layer and operation.weights:
            found.setdefault(id(operation), (name, operation))

    model = network.model
    graph.run_shapes(model, keras.KerasTensor((1, *network.input_size, 3), model.inputs[0].dtype), visit)
    return list(found.values())[::-1]


def _randomise(layer: "keras.Layer", rng: np.random.Generator) -> None:
    for variable in layer.weights:
        shape = variable.shape
        if len(shape) < 2:
            variable.assign(np.full(shape, variable.name in ("gamma", "moving_variance", "variance"), np.float32))
            continue
        is_depthwise = type(layer).__name__ == "DepthwiseConv2D" or "depthwise" in variable.name
        inputs = math.prod(shape[:2] if is_depthwise else shape[:-1])
        variable.assign(rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / inputs)))
