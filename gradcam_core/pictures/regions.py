"""From heat to region: what lies above a threshold, as a mask, as boxes, and as a picture.

The scalar map is brought to the photo's size first and cut then, so that the edge of a region runs between cells.
"""

from dataclasses import dataclass
from numbers import Real

import cv2
import numpy as np

from ..errors import SettingError
from .render import check_photo, resize_heat

_SHADE = 0.45  # where nothing else is over the photo
_INK = (255, 255, 255)
_DRAWN = 10  # boxes in a picture: shallow maps have hundreds of regions, and theirs would hide the photo


@dataclass(frozen=True)
class Box:
    """The box around one region: cells that touch, be it at a corner, and are at least as hot as the threshold.

    Attributes:
        x0, y0: its first column and row, in pixels of the photo.
        x1, y1: the column and the row after its last.
        share: of the photo that the region covers, in (0, 1]; the box around it covers more.
        peak: the hottest heat in it, in (0, 1].
    """

    x0: int
    y0: int
    x1: int
    y1: int
    share: float
    peak: float


def mask_of(heat: np.ndarray, threshold: float, size: tuple[int, int]) -> np.ndarray:
    """Where the heat is at least ``threshold``, pixel by pixel of the photo.

    Args:
        heat: (h, w) in [0, 1], of any size: it covers the whole photo, and is enlarged by `resize_heat`.
        threshold: in (0, 1].
        size: (height, width) of the photo, in pixels.

    Returns:
        bool (height, width).

    Raises:
        SettingError: heat map, threshold or size are not possible.

    >>> mask_of(np.array([[0.0, 1.0]]), 0.5, (1, 6)).astype(int)
    array([[0, 0, 0, 1, 1, 1]])
    """
    return _enlarged(heat, threshold, size) >= threshold


def boxes_of(heat: np.ndarray, threshold: float, size: tuple[int, int]) -> tuple[Box, ...]:
    """The boxes around the regions of `mask_of`, the largest region first.

    Args:
        heat, threshold, size: as for `mask_of`.

    Returns:
        A `Box` of each region; none where nothing is as hot. At thresholds near 1 that can be so of any map: the
        enlarged one is as hot as its hottest cell only where a pixel's centre lies on the cell's.

    Raises:
        SettingError: as `mask_of`.

    >>> boxes_of(np.array([[0.0, 0.0, 1.0]]), 0.5, (2, 9))
    (Box(x0=6, y0=0, x1=9, y1=2, share=0.333..., peak=1.0),)
    """
    return tuple(box for _, box in labelled(heat, threshold, size)[1])


def labelled(
    heat: np.ndarray, threshold: float, size: tuple[int, int]
) -> tuple[np.ndarray, tuple[tuple[int, Box], ...]]:
    """-> int32 (height, width), the number of the region that each pixel is in, or 0; and (number, `Box`) of each.

    Args and errors: as `boxes_of`; the largest region is first here too.
    """
    heat = _enlarged(heat, threshold, size)
    mask = heat >= threshold
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    peaks = np.zeros(count, np.float32)
    np.maximum.at(peaks, labels[mask].astype(np.intp), heat[mask])
    found = [
        (number, Box(x, y, x + width, y + height, pixels / mask.size, float(peaks[number])))
        for number, (x, y, width, height, pixels) in enumerate(stats.tolist())
        if number  # 0 is what lies in no region
    ]
    return labels, tuple(sorted(found, key=lambda one: (-one[1].share, one[1].y0, one[1].x0)))


def run_lengths(labels: np.ndarray, number: int, box: Box) -> list[int]:
    """One region of `labelled` as COCO writes a mask: pixels outside and inside, in turn, column by column.

    Source: COCO's ``maskApi.h``, "RLE is a simple yet efficient format for storing binary masks", uncompressed.

    >>> labels, [(number, box)] = labelled(np.array([[0.0, 1.0]]), 0.5, (2, 3))
    >>> run_lengths(labels, number, box)  # in six pixels, the last two columns
    [2, 4]
    """
    height = len(labels)
    inside = (labels[:, box.x0 : box.x1] == number).T.astype(np.int8)
    changes = np.flatnonzero(np.diff(inside.ravel(), prepend=0, append=0)) + box.x0 * height
    counts = np.diff(changes, prepend=0, append=labels.size).tolist()
    return counts if counts[-1] else counts[:-1]


def outlined(photo: np.ndarray, mask: np.ndarray, boxes: tuple[Box, ...], shade: float = _SHADE) -> np.ndarray:
    """The photo, darker outside of the regions, with their contours, and with the boxes of the first ten.

    Args:
        photo: uint8 (H, W, 3), RGB.
        mask: bool (H, W), as `mask_of` gives it.
        boxes: as `boxes_of` gives them.
        shade: how bright the photo is outside of the regions, in [0, 1]; 1 leaves it as it is.

    Returns:
        uint8 (H, W, 3), RGB; the photo is not changed.

    Raises:
        PhotoError: the photo is not uint8 (H, W, 3).
        SettingError: the mask is not of bool, or not of the photo's size.
    """
    check_photo(photo)
    if mask.shape != photo.shape[:2]:
        raise SettingError(f"The mask is {mask.shape}, and the photo {photo.shape[:2]}. Ask for one of its size.")
    if mask.dtype != bool:
        raise SettingError(f"A mask is True or False for each pixel, and this one is of type {mask.dtype}: mask > 0.")
    picture = cv2.convertScaleAbs(photo, alpha=shade)
    picture[mask] = photo[mask]
    line, boxes = max(1, round(max(mask.shape) / 500)), boxes[:_DRAWN]
    contours = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]
    for color, width in (((0, 0, 0), 3 * line), (_INK, line)):  # a dark edge: seen on bright photos too
        cv2.drawContours(picture, contours, -1, color, width, cv2.LINE_AA)
        for box in boxes:
            cv2.rectangle(picture, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), color, width)
    scale = max(mask.shape) / 1000
    for box in boxes:
        text = f"{100 * box.share:.1f} %"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2 * line)
        if width + 4 * line <= box.x1 - box.x0 and height + 4 * line <= box.y1 - box.y0:
            at = (box.x0 + 3 * line, box.y0 + 3 * line + height)
            for color, thickness in (((0, 0, 0), 4 * line), (_INK, line)):
                cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thickness, cv2.LINE_AA)
    return picture


def check_threshold(threshold: float) -> None:
    """Refuse what is no share of the peak.

    Raises:
        SettingError: the threshold is not a number above 0 and up to 1.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not 0 < threshold <= 1:
        raise SettingError(f"The threshold is a share of the peak, a number above 0 and up to 1, not {threshold!r}.")


def _enlarged(heat: np.ndarray, threshold: float, size: tuple[int, int]) -> np.ndarray:
    check_threshold(threshold)
    is_pair = isinstance(size, tuple | list) and len(size) == 2
    if not is_pair or any(isinstance(side, bool) or not isinstance(side, int | np.integer) for side in size):
        raise SettingError(f"The size of a photo is (height, width), two whole numbers, not {size!r}.")
    return resize_heat(heat, width=size[1], height=size[0])
