"""All maps of an explanation put to the tests, beside random maps and a blob in the centre."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SettingError
from ..networks.loading import network_of
from ..networks.measures import Measure, Prediction, percent, said
from ..pictures.render import resize_heat
from ..settings import Progress, check_count
from .baselines import centre_blob, random_map
from .curves import Curves, curve_variants, curves_from, ends
from .hiding import SHARE, average_drop, increase_in_confidence, lit, probabilities_of, ranks_of, replaced, scene_of

if TYPE_CHECKING:
    from ..maps.explanation import Explanation
    from ..networks.loading import NetworkLike

_SEEDS = range(3)  # of the random baseline, where it is a mean


@dataclass(frozen=True, eq=False)
class MapTest:
    """What `assess` found of one map. All but the sentence is None where the map is empty.

    Of a network that gives values, the curves and what is hidden are values, and there is neither drop nor increase:
    a value has no natural zero.

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


def assess(
    network: "NetworkLike", explanation: "Explanation", steps: int = 16, progress: Progress | None = None
) -> Assessment:
    """Test every map of an explanation, beside random maps and a blob in the centre.

    It asks for 2 * steps photos a map, 2 * steps for the blob, 2 * steps + 4 or more for the random maps, and 3.

    Args:
        network: the network that was explained, as `explain` takes it.
        explanation: what `explain` gave.
        steps, progress: as for `perturbation_curves`.

    Raises:
        SettingError: the explanation is of another network, or steps is not a whole number from 1 up.
        NetworkError: the network gives values that are not numbers.

    >>> import numpy as np, gradcam_core as gc
    >>> network = gc.load("EfficientNetLite0")
    >>> result = assess(network, gc.explain(network, np.zeros((60, 80, 3), np.uint8), "banana", "last"), steps=2)
    >>> result.random.sentence
    'hiding 20 % at random leaves banana at ...'
    """
    network = network_of(network)
    check_count("steps", steps)
    if explanation.network != network.name:
        raise SettingError(f"This is an explanation of {explanation.network}, not of {network.name}.")
    size, scene, target = network.input_size, scene_of(network, explanation.photo), explanation.target
    heats: dict[Hashable, np.ndarray] = {
        ("layer", name): m.heat for name, m in explanation.maps.items() if not m.is_empty
    }
    heats["centre"] = centre_blob(size)
    ranks = {key: ranks_of(heat, size) for key, heat in heats.items()}
    random_maps = [random_map(size, seed) for seed in range(max(len(_SEEDS), steps - 1))]
    random_ranks = [ranks_of(heat, size) for heat in random_maps]

    most = max(1, round(SHARE * size[0] * size[1]))
    counts = {key: min(most, int(np.count_nonzero(resize_heat(m, size[1], size[0])))) for key, m in heats.items()}
    variants = ends(scene) + curve_variants("random", scene, random_ranks[: steps - 1])
    for seed in _SEEDS:
        variants.append((("random", "lit"), partial(lit, scene.image, random_maps[seed])))
        for count in {most, *counts.values()}:
            hide = partial(replaced, scene.image, scene.blank, random_ranks[seed], count)
            variants.append((("random", "hidden", count), hide))
    for key, heat in heats.items():
        variants += curve_variants(key, scene, [ranks[key]] * (steps - 1))
        variants.append(((key, "lit"), partial(lit, scene.image, heat)))
        variants.append(((key, "hidden"), partial(replaced, scene.image, scene.blank, ranks[key], counts[key])))
    found = probabilities_of(network, target.index, variants, progress)
    whole = float(found["image"][0])

    def tested(key: Hashable, the: str, where: str) -> MapTest:
        count = counts.get(key, most)
        share = count / math.prod(size)
        by_random = float(found["random", "hidden", count].mean())
        hidden = by_random if key == "random" else float(found[key, "hidden"][0])
        change = partial(_change, network.measures, whole)
        sentence = f"hiding {the}{percent(share)} {where} {change(hidden, target.name)}"
        if key != "random":
            sentence += f"; hiding {percent(share)} at random {change(by_random, 'it', short=True)}"
        is_share = network.measures == "probability"
        return MapTest(
            sentence=sentence,
            curves=curves_from(key, found),
            drop=average_drop(whole, found[key, "lit"]) if is_share else None,
            increase=increase_in_confidence(whole, found[key, "lit"]) if is_share else None,
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


def _change(measures: Measure, before: float, after: float, name: str, short: bool = False) -> str:
    was, now = said(before, measures), said(after, measures)
    if was == now:
        return f"leaves {name} at {now}"
    start = "" if short else f" from {was}"
    return f"{'lowers' if after < before else 'raises'} {name}{start} to {now}"
