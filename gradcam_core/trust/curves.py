"""Deletion and insertion: the probability of a class while the hottest pixels are hidden, or brought back."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..networks.loading import network_of
from ..settings import Progress, check_count
from .hiding import Scene, Variant, probabilities_of, ranks_of, replaced, scene_of, target_index

if TYPE_CHECKING:
    from ..networks.loading import NetworkLike
    from ..photos import Source


@dataclass(frozen=True, eq=False)
class Curves:
    """The probability of the target while the hottest pixels are hidden, and while they are brought back.

    Of a network that gives values, the value: the curves and their areas are in its units, and not from 0 to 1.

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


def perturbation_curves(
    network: "NetworkLike",
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
        network: as `explain` takes it.
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
    >>> perturbation_curves(gc.load("EfficientNetLite0"), photo, "banana", np.ones((9, 9)), steps=4).deletion.shape
    (5,)
    """
    return curves_of_maps(network, photo, target, {"": heat}, steps=steps, progress=progress)[""]


def curves_of_maps(
    network: "NetworkLike",
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
    network = network_of(network)
    check_count("steps", steps)
    photo = network.read(photo)
    scene = scene_of(network, photo)
    variants = ends(scene)
    for name, heat in heats.items():
        variants += curve_variants(name, scene, [ranks_of(heat, network.input_size)] * (steps - 1))
    found = probabilities_of(network, target_index(network, photo, target), variants, progress)
    return {name: curves_from(name, found) for name in heats}


def ends(scene: Scene) -> list[Variant]:
    return [(end, partial(getattr, scene, end)) for end in ("image", "blank", "blurred")]


def curve_variants(key: Hashable, scene: Scene, ranks: Sequence[np.ndarray]) -> list[Variant]:
    """The photos between the ends of both curves; ``ranks`` are those of the map at each of them."""
    variants: list[Variant] = []
    for step, rank in enumerate(ranks, 1):
        count = round(step * rank.size / (len(ranks) + 1))
        variants.append(((key, "deletion"), partial(replaced, scene.image, scene.blank, rank, count)))
        variants.append(((key, "insertion"), partial(replaced, scene.blurred, scene.image, rank, count)))
    return variants


def curves_from(key: Hashable, found: Mapping[Hashable, np.ndarray]) -> Curves:
    none = np.empty(0, np.float32)  # a curve of one step has only its ends
    return Curves(
        deletion=np.concatenate([found["image"], found.get((key, "deletion"), none), found["blank"]]),
        insertion=np.concatenate([found["blurred"], found.get((key, "insertion"), none), found["image"]]),
    )


def _area(curve: np.ndarray) -> float:
    return float(np.mean((curve[:-1] + curve[1:]) / 2, dtype=np.float64))
