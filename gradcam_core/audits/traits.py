"""What goes with a label apart from the object: are the photos of a class brighter, sharper, smaller than others?"""

import math
from typing import NamedTuple

import numpy as np

LARGE = 0.474  # of Cliff's delta: Romano et al., "Exploring methods for evaluating group differences", 2006
ALPHA_OF_TRAITS = 0.01  # for all classes and traits of an audit together

TRAITS = {
    "brightness": ("brighter", "darker"),
    "contrast": ("richer in contrast", "flatter"),
    "saturation": ("more colourful", "paler"),
    "sharpness": ("sharper", "more blurred"),
    "size": ("larger", "smaller"),
    "border": ("looked at more at the border", "looked at less at the border"),
}
"""By the name of each trait: what photos with more, and with less of it are."""


class Difference(NamedTuple):
    """How numbers of one class differ from those of the others: Cliff's delta, and the p-value of Mann and Whitney."""

    delta: float
    p_value: float


def difference(some: np.ndarray, others: np.ndarray) -> Difference | None:
    r"""How far numbers lie above others, whatever their distribution.

    Cliff's :math:`\delta = P(x > y) - P(x < y)`, in [-1, 1]: 0 where neither is above, 1 where each is above all. The
    p-value is two-sided, by the normal approximation with the correction for ties.

    Args:
        some, others: float (n,), (m,); what is not a number does not count.

    Returns:
        None where there are fewer than 8 of either.

    Source: Cliff, "Dominance statistics", Psychological Bulletin 1993, equation 1; Mann and Whitney, "On a test of
    whether one of two random variables is stochastically larger than the other", Annals of Mathematical Statistics
    1947.

    >>> difference(np.arange(10.0), np.arange(10.0) + 5).delta
    -0.75
    """
    some, others = (np.asarray(values, np.float64) for values in (some, others))
    some, others = some[np.isfinite(some)], others[np.isfinite(others)]
    n, m = len(some), len(others)
    if min(n, m) < 8:
        return None
    _, place, counts = np.unique(np.concatenate([some, others]), return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of each value
    above = float(ranks[place[:n]].sum()) - n * (n + 1) / 2  # U, with half of the ties
    total = n + m
    variance = n * m / 12 * (total + 1 - float((counts.astype(np.float64) ** 3 - counts).sum()) / (total * (total - 1)))
    z = (above - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0
    return Difference(2 * above / (n * m) - 1, math.erfc(abs(z) / math.sqrt(2)))
