"""The counter-test of a suspected region: does the class hang on it? It is hidden, and pasted into other photos.

A heat map is a hint. What a region does to a class is seen when it goes and when it comes: photos are changed, and the
network is asked again. The score is the log-odds of the class, which do not saturate where a network is sure.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..settings import BATCH_PIXELS
from ..trust.hiding import scene_of

if TYPE_CHECKING:
    from ..networks.classifier import Classifier

ALPHA_OF_SHORTCUTS = 0.05  # for all candidates of an audit together
DOUBLED = math.log(2)  # log-odds: the least that a small region must do to the odds of the class, both ways
EIGHTH = 1 / 8  # of the photo: a larger region hides and brings more of anything, and must do as many times more
DONE = ("hidden", "group", "pasted")  # of the differences, those that say how much the region does
LEFT = 0.4  # of what makes the group surer, at most, that may be left with the region hidden
PHOTOS = 48  # of a group, of the class's others and of other classes, that are tried at most
DRAWS = 3  # places drawn at random for each photo, beside the suspected one
OVERLAP = 0.25  # of the region, at most, that a place drawn at random may share with it, where there is such a place
CLIPPED = 1e-6  # of probabilities whose logits are not known


@dataclass(frozen=True, eq=False)
class Effects:
    """What a region does to a class: log-odds of the class, one for each photo.

    Attributes:
        group, rest: of the group's photos and the class's other photos: float64 (photos, 3): as they are, with the
            region hidden, with as much hidden at random (the mean of the draws).
        others: of photos of other classes: float64 (others, 2): as they are, and with the region hidden.
        pasted: of photos of other classes: float64 (others, 4): as they are, with the region of a group's photo, with
            the same region of a photo of the class that is not in the group, with the usual evidence: as much of such
            a photo, where it is hottest.
        taken_for: how many of the others are taken for the class: int (4,), as they are and with each of the three.
        share: of the photo that the region covers, in [0, 1].
    """

    group: np.ndarray
    rest: np.ndarray
    others: np.ndarray
    pasted: np.ndarray
    taken_for: np.ndarray
    share: float

    @property
    def differences(self) -> dict[str, np.ndarray]:
        """What the region does, in log-odds: float64 (photos,) each.

        hidden: how much more the group's photos lose than with as much hidden at random.
        group: how much more they lose, beyond random, than photos of the rest, with which they are paired as they come.
        pasted: how much more other photos gain by the group's region than by the same region of the rest.
        usual: how much more they gain by it than by the usual evidence; see `may_be_the_object`.
        """
        group, rest = (of[:, 2] - of[:, 1] for of in (self.group, self.rest))
        return {
            "hidden": group,
            "group": group - np.resize(rest, len(group)),
            "pasted": self.pasted[:, 1] - self.pasted[:, 2],
            "usual": self.pasted[:, 1] - self.pasted[:, 3],
        }

    @property
    def left(self) -> float:
        """How much surer of the class the network still is of the group than of the rest, with the region hidden.

        The difference of medians, in log-odds: of the group with the region hidden, and of the rest with as much hidden
        at random. A shortcut comes on top of the object, and without it photos are as others. Photos that show the
        object better than others do are still surer when a part of it is hidden.
        """
        return float(np.median(self.group[:, 1]) - np.median(self.rest[:, 2]))

    @property
    def surer(self) -> float:
        """How much surer it is of the group as it is than of the rest with as much hidden at random, in log-odds."""
        return float(np.median(self.group[:, 0]) - np.median(self.rest[:, 2]))

    @property
    def is_still_surer(self) -> bool:
        """Whether much of that is left: no less than log 2, and no less than 0.4 of it."""
        return self.left >= max(DOUBLED, LEFT * self.surer)

    @property
    def deficit(self) -> float:
        """How much less sure it is of the group with the region hidden than of the rest as it is, in log-odds."""
        return float(np.median(self.rest[:, 0]) - np.median(self.group[:, 1]))

    def may_be_the_object(self, candidates: int = 1) -> bool:
        """Whether the region may be the object itself, which lies there now and then.

        So it is where it does no more than the usual evidence, by the median; and where by the sign test it may do no
        more, and the network misses it: with the region hidden, the odds of the class are half of those of the rest as
        it is, or less. Where they are more, the object is still seen.
        """
        usual, p_value = float(np.median(self.differences["usual"])), self.p_values["usual"]
        return usual <= 0 or (p_value >= ALPHA_OF_SHORTCUTS / candidates and self.deficit >= DOUBLED)

    @property
    def least(self) -> float:
        """The least that the region must do, in log-odds: the odds double, or double for each eighth of the photo."""
        return DOUBLED * max(1.0, self.share / EIGHTH)

    @property
    def p_values(self) -> dict[str, float]:
        """Of each of `differences`: `sign_test`."""
        return {name: sign_test(values) for name, values in self.differences.items()}

    def bears_out(self, candidates: int = 1) -> bool:
        """Whether the class hangs on the region: what hiding and pasting it do is much, and no chance.

        The medians of hidden, group and pasted are at least `least`, and each has a p-value below 0.05, divided by the
        number of candidates that are tested (Bonferroni). It is not what `may_be_the_object`, and without it the
        group is not what `is_still_surer`.
        """
        differences, p_values = self.differences, self.p_values
        return (
            all(float(np.median(differences[name])) >= self.least for name in DONE)
            and all(p_values[name] < ALPHA_OF_SHORTCUTS / candidates for name in DONE)
            and not self.may_be_the_object(candidates)
            and not self.is_still_surer
        )


def sign_test(differences: np.ndarray) -> float:
    r"""The probability that so many differences are above 0 if above and below were as likely: one-sided, exact.

    :math:`2^{-n} \sum_{k \geq s} \binom{n}{k}` for s of n above 0; those that are 0 do not count.

    Args:
        differences: float (n,), of pairs.

    Source: Conover, "Practical Nonparametric Statistics", 1999, section 3.4.

    >>> sign_test(np.array([3.0, 0.5, 0.0, 2.0, 1.0]))
    0.0625
    """
    count, above = int(np.count_nonzero(differences)), int((differences > 0).sum())
    return sum(math.comb(count, k) for k in range(above, count + 1)) / 2**count


def effects(
    network: "Classifier",
    target: int,
    cells: np.ndarray,
    group: Sequence[np.ndarray],
    rest: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    usual: Sequence[np.ndarray],
    seed: int = 0,
) -> Effects:
    """Hide the region and paste it, and ask the network.

    Hidden pixels take their photo's mean colour, as in `trust.hiding`.

    Args:
        network: a loaded classifier.
        target: the index of the class.
        cells: bool (h, w), the cells of a map that make the region; they cover the whole photo.
        group: photos of the class in which it is suspected, uint8 (H, W, 3); at least one.
        rest: the class's other photos; at least one.
        others: photos of other classes; at least one.
        usual: for each photo of the rest, the region at the place where that photo is hottest, bool (h, w).
        seed: of the places and pairs that are drawn.
    """
    rng = np.random.default_rng(seed)
    mask = over_photo(cells, network.input_size)
    hidden, scenes = [], [[scene_of(network, photo) for photo in photos] for photos in (group, rest, others)]
    for some, draws in zip(scenes, (DRAWS, DRAWS, 0), strict=True):
        variants = [[s.image, np.where(mask, s.blank, s.image)] for s in some]
        for scene, images in zip(some, variants, strict=True):
            places = [over_photo(place, network.input_size) for place in elsewhere(cells, draws, rng)]
            images += [np.where(place, scene.blank, scene.image) for place in places]
        odds = log_odds(network, target, (image for images in variants for image in images))[0].reshape(len(some), -1)
        hidden.append(np.column_stack([odds[:, :2], odds[:, 2:].mean(1)]) if draws else odds)
    bases = [scene.image for scene in scenes[2]]
    from_group = [(scenes[0][i].image, mask) for i in rng.integers(len(group), size=len(bases))]
    drawn = rng.integers(len(rest), size=len(bases))
    from_rest = [(scenes[1][i].image, mask) for i in drawn]
    at_hottest = [(scenes[1][i].image, over_photo(usual[i], network.input_size)) for i in drawn]
    images = [*bases]
    for donors in (from_group, from_rest, at_hottest):
        images += [np.where(where, donor, base) for (donor, where), base in zip(donors, bases, strict=True)]
    odds, wins = (values.reshape(4, -1) for values in log_odds(network, target, images))
    return Effects(hidden[0], hidden[1], hidden[2], odds.T, wins.sum(1), float(cells.mean()))


def over_photo(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool (H, W, 1): the pixels whose centres lie in marked cells, bool (h, w), that cover the photo."""
    rows, columns = ((np.arange(side) + 0.5) * count // side for side, count in zip(size, cells.shape, strict=True))
    return cells[rows.astype(int)[:, np.newaxis], columns.astype(int), np.newaxis]


def elsewhere(cells: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The region at other places of the map: bool (h, w) each, drawn from those that share least with it."""
    places = shifted(cells)
    shared = np.array([(place & cells).sum() for place in places]) / cells.sum()
    allowed = np.flatnonzero(shared <= max(OVERLAP, shared.min()))
    return [places[i] for i in rng.choice(allowed, count)]


def shifted(cells: np.ndarray) -> list[np.ndarray]:
    """The region at every place of the map at which it fits: bool (h, w) each."""
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    shape = cells[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    places = []
    for top in range(cells.shape[0] - shape.shape[0] + 1):
        for left in range(cells.shape[1] - shape.shape[1] + 1):
            place = np.zeros_like(cells)
            place[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
            places.append(place)
    return places


def hottest(cells: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """bool (n, h, w): the region, bool (h, w), at the place where each map, float (n, h, w), has most heat."""
    places = np.array(shifted(cells))
    heat = np.maximum(maps, 0).reshape(len(maps), cells.size) @ places.reshape(-1, cells.size).T.astype(np.float32)
    return places[heat.argmax(1)]


def log_odds(network: "Classifier", target: int, images: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    r"""float64 (n,): :math:`\log \frac{p}{1 - p}` of a class for each photo; bool (n,): whether it is the first answer.

    From the logits: of a softmax :math:`z_c - \log \sum_{k \neq c} e^{z_k}`, of a sigmoid :math:`z_c`.

    Args:
        network: a loaded classifier.
        target: the index of the class.
        images: uint8 (h, w, 3), at the network's input size.
    """
    size = max(1, min(32, BATCH_PIXELS // int(np.prod(network.input_size))))
    odds, wins = [], []
    batch: list[np.ndarray] = []

    def ask() -> None:
        logits = network.predict_logits(np.concatenate([network.to_input(image) for image in batch])).astype(np.float64)
        wins.append(logits.argmax(1) == target)
        batch.clear()
        if network.activation == "none":
            p = np.clip(logits[:, target], CLIPPED, 1 - CLIPPED)
            odds.append(np.log(p / (1 - p)))
        elif network.activation == "sigmoid" and not network.is_binary:
            odds.append(logits[:, target])
        else:
            odds.append(logits[:, target] - np.logaddexp.reduce(np.delete(logits, target, axis=1), axis=1))

    for image in images:
        batch.append(image)
        if len(batch) == size:
            ask()
    if batch:
        ask()
    return np.concatenate(odds), np.concatenate(wins)
