"""Whether a heat map needs what the network has learnt: a map that stays the same when the weights are random does not.

`sanity_check` makes a copy's weights random from the head down and compares the maps that `explain` gives;
`randomisation_test` does it for maps of any making.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NetworkError
from ..maps.explain import explain
from ..networks.loading import network_of
from ..pictures.render import resize_heat
from ..settings import Progress, check_count
from .similarity import rank_correlation, ssim

if TYPE_CHECKING:
    import keras

    from ..networks.classifier import Classifier
    from ..networks.loading import NetworkLike
    from ..photos import Source

MakeMaps = Callable[["Classifier"], Mapping[str, np.ndarray]]  # name -> float (h, w), signed

PASSES_BELOW = 0.7  # absolute rank correlation: less than half of the ranks' variance (0.7 squared) is left


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
    network: "NetworkLike",
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
        network: as `explain` takes it; it is not changed, and in memory twice meanwhile.
        photo, target, layers: as for `explain`.
        draws, progress: as for `randomisation_test`, which takes maps of any other making.
        settings: the others of `explain`: method, score, instead_of, ...

    Raises:
        PhotoError, TargetError, LayerError, SettingError: as `explain`.
        NetworkError: as `randomisation_test`.

    >>> import numpy as np, gradcam_core as gc
    >>> check = sanity_check(gc.load("EfficientNetLite0"), np.zeros((60, 80, 3), np.uint8), "banana", "last", draws=1)
    >>> len(check.randomised), list(check.passes)
    (6, ['head_relu'])
    """
    network = network_of(network)
    photo = network.read(photo)
    if target is None:  # a copy whose weights are random would choose another class
        target = network.predict(photo, 1)[0].index

    def make_maps(network: "Classifier") -> dict[str, np.ndarray]:
        return {name: m.raw for name, m in explain(network, photo, target, layers, **settings).maps.items()}

    return randomisation_test(network, make_maps, draws=draws, progress=progress)


def randomisation_test(
    network: "NetworkLike", make_maps: MakeMaps, *, blocks: int = 6, draws: int = 5, progress: Progress | None = None
) -> SanityCheck:
    r"""`sanity_check` of maps of any making.

    The layers with weights are divided into blocks of equally many layers. From the head down, one block after
    another is set as for a new network: kernels normal with a variance of :math:`2 / n` (He et al. 2015, equation
    10, n the inputs of a cell), scales and variances 1, all else 0. Statistics of the input (`Normalization`) stay.

    Args:
        network: as `explain` takes it; it is not changed, and in memory twice meanwhile.
        make_maps: the maps of the network it is given, float (h, w) by name, signed.
        blocks: how many steps there are, at most.
        draws: how often all this is done, each time with other random weights, always the same ones.
        progress: called as progress(done, total), in calls of make_maps; what it raises ends the test.

    Raises:
        NetworkError: the network cannot be copied, or gives values that are not numbers.
        SettingError: blocks or draws is not a whole number from 1 up.

    Source: Adebayo et al., NeurIPS 2018, section 3.1.
    """
    network = network_of(network)
    check_count("blocks", blocks)
    check_count("draws", draws)
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
        shaped = {name: np.array(listed, np.float32).reshape(draws, -1) for name, listed in values.items()}
        return MappingProxyType({name: array.mean(0) for name, array in shaped.items()})

    return SanityCheck(
        randomised=tuple(weighted[part[-1]][0] for part in parts),
        rank_correlation=means(ranks),
        ssim=means(similarities),
        untestable=frozenset(name for name, raw in trained.items() if np.ptp(raw) == 0),
    )


def _heat(raw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    positive = np.maximum(raw, 0)
    return resize_heat(positive / (positive.max() or 1), width=size[1], height=size[0])


def _copy(network: "Classifier") -> "Classifier":
    import keras

    try:
        model = keras.models.clone_model(network.model)
    except (NotImplementedError, TypeError, ValueError) as error:
        what = " ".join(str(error).partition("Example:")[0].split()).rstrip(".")  # without Keras' page of code
        what = what or type(error).__name__
        raise NetworkError(f"{network.name} cannot be tested: Keras cannot copy it ({what}).") from error
    copy = network.around(model)
    _restore(copy, network)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return copy


def _restore(copy: "Classifier", network: "Classifier") -> None:
    for mine, its in zip(copy.model.weights, network.model.weights, strict=True):
        mine.assign(its)


def _weighted(network: "Classifier") -> list[tuple[str, "keras.Layer"]]:
    """The innermost layers with weights and their names, from the head down, each once."""
    import keras

    found: dict[int, tuple[str, keras.Layer]] = {}
    claimed: set[int] = set()
    for call in network.recording.calls:
        layer = call.operation
        if not isinstance(layer, keras.Layer) or isinstance(layer, keras.layers.Normalization):
            continue
        own = {id(variable) for variable in layer.weights}
        if own - claimed:
            found[id(layer)] = call.path, layer
            claimed |= own
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
