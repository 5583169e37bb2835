"""Groups of a class's photos whose maps are alike, and which of them may be right for the wrong reason.

The idea is SpRAy of Lapuschkin et al., "Unmasking Clever Hans predictors and assessing what machines really learn",
Nature Communications 2019: cluster the heat maps of a class, and look at the small, compact groups. Here k-means does
it, whose groups were as pure as those of spectral clustering, at a cost that grows with the number of photos and not
with its square; and each group is then asked how far apart from the rest it stands. Pure functions of arrays.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .extras import needed

MOST_CLUSTERS = 8
CLUSTERED = 4000  # maps of a class that are clustered, at most, drawn evenly
SAME = 0.5  # of the photos of two groups together, from which they are one
LEAST = 8  # photos of a group
APART = 0.7  # separability from which a group may stand apart: a Gaussian has 0.64, numbers spread evenly 0.75
REGION = 0.4  # of the most that a cell's heat is above the rest's: cells above it are the region
COLD = 2 / 3  # of the group's share of heat in the region, that the rest may have there at most
LARGEST = 1 / 3  # of the cells, that a candidate's region may take: a banner along a side heats a quarter or more
MOST = 0.9  # of the class, that a group may take: else it is the class


@dataclass(frozen=True, eq=False)
class Group:
    """Photos of a class whose heat lies at one place.

    Attributes:
        members: bool (photos,), by the order of the maps.
        region: bool (h, w), the cells at which the group has more heat than the class's other photos.
        separability: how far the heat in the region falls into two kinds, in [0, 1]; `separability`.
        heat: the mean share of the group's heat that lies in the region, in [0, 1].
        elsewhere: the same of the class's other photos.
    """

    members: np.ndarray
    region: np.ndarray
    separability: float
    heat: float
    elsewhere: float

    @property
    def is_candidate(self) -> bool:
        """Whether it stands apart, at one small place, where the rest has less of its heat."""
        return bool(
            self.separability > APART
            and self.region.mean() <= LARGEST
            and LEAST <= self.members.sum() <= MOST * len(self.members)
            and self.elsewhere < COLD * self.heat
        )


def clusters(maps: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Which maps are alike: int (n,), the cluster of each, -1 of a map without heat.

    K-means of the maps' positive parts, each brought to length 1, so that it is the place that counts.

    Args:
        maps: float (n, h, w), signed.
        count: of the clusters, from 2 up.
        seed: of k-means' starts.

    >>> clusters(np.array([[[1, 0]], [[0, 3]], [[2, 0]], [[-1, 0]]]), 2).tolist()
    [0, 1, 0, -1]
    """
    heat = np.maximum(maps, 0).reshape(len(maps), -1).astype(np.float64)
    lengths = np.linalg.norm(heat, axis=1)
    found = np.full(len(maps), -1)
    warm = np.flatnonzero(lengths)
    unit = heat[warm] / lengths[warm, np.newaxis]
    some = np.sort(np.random.default_rng(seed).permutation(len(warm))[:CLUSTERED])
    if len(np.unique(unit[some], axis=0)) < count:
        return found
    with needed("threadpoolctl").threadpool_limits(1):  # of so little, threads make more work than they share
        means = needed("sklearn.cluster").KMeans(count, n_init=5, random_state=seed).fit(unit[some])
        of_each = means.predict(unit).tolist()
    order = {old: new for new, old in enumerate(dict.fromkeys(of_each))}  # by their first photo, not by chance
    found[warm] = [order[old] for old in of_each]
    return found


def groups(maps: np.ndarray, seed: int = 0) -> list[Group]:
    """The groups of a class's photos, the one that stands apart most first.

    The number of clusters is the one, from 2 to 8, whose best group stands apart most. Of groups that share half of
    their photos, counted together, the better one stays.

    Args:
        maps: float (n, h, w), the signed maps of one class.
        seed: of k-means' starts.
    """
    best: list[Group] = []
    for count in range(2, MOST_CLUSTERS + 1):
        of_each = clusters(maps, count, seed)
        found = [group for k in range(count) if (group := group_of(maps, of_each == k)) is not None]
        found = _distinct(sorted(found, key=lambda group: -group.separability))
        if found and (not best or found[0].separability > best[0].separability):
            best = found
    return best


def _distinct(found: list[Group]) -> list[Group]:
    kept: list[Group] = []
    for group in found:
        shared = [(group.members & other.members).sum() / (group.members | other.members).sum() for other in kept]
        kept += [group] if max(shared, default=0) < SAME else []
    return kept


def group_of(maps: np.ndarray, members: np.ndarray, rounds: int = 2) -> Group | None:
    """The group that a cluster hints at: its region, and the photos that have heat there.

    Where the cluster has more of its heat than the rest is the region; the photos whose heat in the region is above
    the cut of `separability` are the group; and once more from there.

    Args:
        maps: float (n, h, w), signed.
        members: bool (n,), the cluster.

    Returns:
        None where the cluster, or what becomes of it, is empty or everything.
    """
    heat = np.maximum(maps, 0).astype(np.float64)
    total = heat.sum((1, 2), keepdims=True)
    shares = heat / np.where(total > 0, total, 1)
    for _ in range(rounds):
        if not 0 < members.sum() < len(members):
            return None
        region = region_of(shares[members].mean(0) - shares[~members].mean(0))
        apart, cut = separability(heat[:, region].sum(1))
        members = heat[:, region].sum(1) > cut
    inside = shares[:, region].sum(1)
    return Group(members, region, apart, float(inside[members].mean()), float(inside[~members].mean()))


def region_of(difference: np.ndarray) -> np.ndarray:
    """bool (h, w): the cells around the highest that are above 0.4 of it, as far as they hang together."""
    above = (difference >= REGION * difference.max()).astype(np.uint8)
    _, parts = cv2.connectedComponents(above, connectivity=8)
    return parts == parts[np.unravel_index(difference.argmax(), difference.shape)]


def separability(values: np.ndarray) -> tuple[float, float]:
    r"""How far numbers fall into two kinds, in [0, 1], and the cut between them.

    The most that a cut can make of :math:`\eta = \sigma_B^2 / \sigma_T^2`, the variance between the two sides by that
    of all. 1 are two values; numbers spread evenly have 3/4, a Gaussian :math:`2 / \pi`.

    Args:
        values: float (n,).

    Source: Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 1979, equation 12.

    >>> separability(np.array([0, 4, 0, 4]))
    (1.0, 2.0)
    """
    ordered = np.sort(values.astype(np.float64))
    count, variance = len(ordered), ordered.var()
    if count < 2 or variance == 0:
        return 0.0, float(ordered[-1]) if count else 0.0
    below = np.arange(1, count)
    sums = np.cumsum(ordered)
    means = sums[:-1] / below, (sums[-1] - sums[:-1]) / (count - below)
    between = below * (count - below) / count**2 * (means[1] - means[0]) ** 2
    at = int(between.argmax())
    return min(float(between[at] / variance), 1.0), float((ordered[at] + ordered[at + 1]) / 2)
