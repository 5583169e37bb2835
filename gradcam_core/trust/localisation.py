"""How well the box around a heat map's region meets the boxes that people have drawn."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import SettingError
from ..pictures.regions import boxes_of
from ..pictures.render import resize_heat

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))
_SIDE = 224  # pixels: boxes of regions are no finer
_ROUNDING = 1e-3  # by which boxes may leave the photo


class Overlaps(NamedTuple):
    """How well regions meet the boxes of one photo, at each threshold; 0 where there is no region.

    Attributes:
        largest: float64 (thresholds,): of the largest region's box, with the box that it meets best.
        any: float64 (thresholds,): of that region's box, whichever it is, that meets a box best.
    """

    largest: np.ndarray
    any: np.ndarray


def overlaps_of(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    r"""The intersection over union of boxes, :math:`|A \cap B| / |A \cup B|`: each with each.

    Args:
        boxes: float (n, 4), x0, y0, x1, y1, x1 and y1 being their ends.
        others: float (m, 4).

    Returns:
        float64 (n, m) in [0, 1]; 0 for boxes without an area.

    Raises:
        SettingError: they are not of this shape.

    >>> overlaps_of(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(2).tolist()
    [[0.33, 0.0]]
    """
    one, other = (_checked(given)[:, np.newaxis] for given in (boxes, others))
    other = other.swapaxes(0, 1)
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    common = np.maximum(high - low, 0).prod(-1)
    union = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def best_overlaps(heat: np.ndarray, boxes: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> Overlaps:
    """How well the regions of a map meet the boxes of its photo, threshold by threshold.

    Args:
        heat: (h, w) in [0, 1], over the whole photo.
        boxes: float (n, 4), n from 1 up: x0, y0, x1, y1 as shares of the photo's width and height.
        thresholds: in (0, 1].

    Raises:
        SettingError: heat map, boxes or thresholds are not possible.

    >>> found = best_overlaps(np.array([[0.0, 1.0]]), np.array([[0.5, 0.0, 1.0, 1.0]]), [0.1, 0.5])
    >>> found.largest.round(2).tolist()
    [0.71, 1.0]
    """
    boxes = _checked(boxes)
    if not len(boxes):
        raise SettingError("There is no box to meet. Give at least one.")
    if boxes.min() < -_ROUNDING or boxes.max() > 1 + _ROUNDING:
        raise SettingError(
            f"These boxes are shares of the photo's width and height, from 0 to 1, and not from {boxes.min():g} to "
            f"{boxes.max():g}. Divide pixels by the photo's sides."
        )
    _check_thresholds(thresholds)
    enlarged = resize_heat(heat, _SIDE, _SIDE)
    largest, best = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for i, threshold in enumerate(thresholds):
        found = boxes_of(enlarged, threshold, (_SIDE, _SIDE))
        if found:
            sides = np.array([(box.x0, box.y0, box.x1, box.y1) for box in found]) / _SIDE
            met = overlaps_of(sides, boxes).max(1)
            largest[i], best[i] = met[0], met.max()
    return Overlaps(largest, best)


def max_box_accuracy(
    overlaps: np.ndarray, least: float = 0.5, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[float, float]:
    r"""MaxBoxAcc: the share of photos whose box is met, at the threshold that is best for all of them; and that one.

    :math:`\max_\tau \frac{1}{N} \sum_n 1[\mathrm{IoU}(\mathrm{box}(s(X^{(n)}), \tau), B^{(n)}) \ge \delta]`. There, the
    map s is scaled from its minimum to its maximum; here the heat runs from 0, no evidence, to its peak.

    Args:
        overlaps: float (photos, thresholds), ``largest`` of each photo.
        least: :math:`\delta`, the overlap from which on a box is met.
        thresholds: those of the overlaps.

    Raises:
        SettingError: the overlaps are of another shape, of no photo, or not from 0 to 1; or there are no thresholds.

    Source: Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, section 4.1.

    >>> max_box_accuracy(np.array([[0.2, 0.6], [0.7, 0.5]]), thresholds=[0.3, 0.4])
    (1.0, 0.4)
    """
    _check_thresholds(thresholds)
    overlaps = np.asarray(overlaps)
    if overlaps.ndim != 2 or not len(overlaps) or overlaps.shape[1] != len(thresholds):
        raise SettingError(
            f"The overlaps have a row for each photo and a column for each of {len(thresholds)} thresholds; these have "
            f"the shape {overlaps.shape}."
        )
    if overlaps.dtype.kind not in "fiu" or not ((overlaps >= 0) & (overlaps <= 1)).all():  # NaN is neither
        raise SettingError("Overlaps are numbers from 0 to 1, as best_overlaps gives them.")
    accuracy = (overlaps >= least).mean(0)
    return float(accuracy.max()), float(thresholds[int(accuracy.argmax())])


def max_box_accuracy_v2(overlaps: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> float:
    """MaxBoxAccV2: the mean of `max_box_accuracy` for overlaps of at least 0.3, 0.5 and 0.7, with boxes of all regions.

    Args:
        overlaps: float (photos, thresholds), ``any`` of each photo.
        thresholds: those of the overlaps.

    Raises:
        SettingError: as `max_box_accuracy`.

    Source: Choe et al., "Evaluation for Weakly Supervised Object Localization: Protocol, Metrics, and Datasets", 2020
    (arXiv 2007.04178), section 3.3.
    """
    return float(np.mean([max_box_accuracy(overlaps, least, thresholds)[0] for least in (0.3, 0.5, 0.7)]))


def _check_thresholds(thresholds: Sequence[float]) -> None:
    if not len(thresholds):
        raise SettingError("There is no threshold. Give at least one, such as 0.5.")


def _checked(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "fiu" or not np.isfinite(boxes).all():
        raise SettingError(f"Boxes are numbers of the shape (n, 4): x0, y0, x1, y1; these have {boxes.shape}.")
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise SettingError("A box ends before it begins. Boxes are x0, y0, x1, y1: not a corner with width and height.")
    return boxes.astype(np.float64)
