"""Numbers of a photo and of a map: what an audit compares over thousands of them. Pure functions of arrays."""

from collections.abc import Sequence

import cv2
import numpy as np

Boxes = Sequence[Sequence[float]]  # (x0, y0, x1, y1) each, as shares of the width and height

LONGEST_SIDE = 512  # to which a photo is brought for its numbers: sharpness depends on the size


def of_photo(photo: np.ndarray) -> dict[str, float]:
    """How bright, contrasty, colourful and sharp a photo is.

    It is first brought to 512 pixels on its longer side (a smaller one stays as it is), so that photos of different
    cameras can be compared.

    Args:
        photo: uint8 (H, W, 3), RGB.

    Returns:
        brightness: the mean luma (ITU-R BT.601), in [0, 1].
        contrast: its standard deviation, in [0, 0.5]: the RMS contrast of Peli, "Contrast in complex images", Journal
        of the Optical Society of America A 1990, equation 4.
        saturation: the mean of (highest - lowest colour) / highest, the S of HSV, in [0, 1].
        sharpness: the variance of the Laplacian of the luma in 0..255, LAPV of Pech-Pacheco et al., "Diatom
        autofocusing in brightfield microscopy", ICPR 2000; 0 where all is even, below about 100 for a blurred photo.

    >>> of_photo(np.full((4, 6, 3), [255, 0, 0], np.uint8))
    {'brightness': 0.299, 'contrast': 0.0, 'saturation': 1.0, 'sharpness': 0.0}
    """
    scale = LONGEST_SIDE / max(photo.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in photo.shape[1::-1]]
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(photo.astype(np.float32), cv2.COLOR_RGB2GRAY)
    red, green, blue = cv2.split(photo)  # ten times as fast as the maximum over the last axis
    highest = cv2.max(cv2.max(red, green), blue).astype(np.float32)
    spread = highest - cv2.min(cv2.min(red, green), blue)
    found = {
        "brightness": luma.mean(dtype=np.float64) / 255,
        "contrast": luma.std(dtype=np.float64) / 255,
        "saturation": (spread / np.maximum(highest, 1)).mean(dtype=np.float64),
        "sharpness": cv2.Laplacian(luma, cv2.CV_32F).var(dtype=np.float64),
    }
    return {name: round(float(value), 6) for name, value in found.items()}


def of_map(raw: np.ndarray, boxes: Boxes | None = None) -> dict[str, float | None]:
    """How strong a map is, how far its heat is spread, and where it lies. Heat is the positive part of the map.

    Args:
        raw: float (h, w), signed; its cells cover the whole photo.
        boxes: (x0, y0, x1, y1) each, as shares of the width and height; they may overlap.

    Returns:
        peak: the highest value, at least 0.
        spread: the entropy of the heat as shares of its sum, divided by that of an even map, in [0, 1]: 0 where one
        cell has all, 1 where all have the same.
        border: the share of the heat in the outermost cells, in [0, 1].
        inside: the share of the heat inside the boxes together, in [0, 1], of a cell as much as they cover of it; None
        without boxes.
        All but the peak are None where there is no heat.

    Source: for inside, "energy-based pointing game" of Wang et al., "Score-CAM", CVPR Workshops 2020, section 4.3.

    >>> of_map(np.array([[0, 0, 0], [0, 2, 0], [0, 0, -5]]), [(0, 0, 0.5, 1)])
    {'peak': 2.0, 'spread': 0.0, 'border': 0.0, 'inside': 0.5}
    """
    heat = np.maximum(raw, 0).astype(np.float64)
    peak = float(heat.max())
    if peak == 0:
        return {"peak": 0.0, "spread": None, "border": None, "inside": None}
    heat /= peak  # a sum of the smallest numbers would underflow
    heat /= heat.sum()
    some = heat[heat > 0]
    entropy = float(-(some * np.log(some)).sum()) / np.log(max(heat.size, 2))
    return {
        "peak": peak,
        "spread": min(max(0.0, entropy), 1.0),
        "border": min(max(0.0, 1 - float(heat[1:-1, 1:-1].sum())), 1.0),
        "inside": None if not boxes else min(float((heat * covered(boxes, heat.shape)).sum()), 1.0),
    }


def covered(boxes: Boxes, shape: tuple[int, ...]) -> np.ndarray:
    """How much of each cell boxes cover together, exactly.

    Args:
        boxes: (x0, y0, x1, y1) each, as shares of the width and height.
        shape: (h, w) of the map whose cells cover the photo.

    Returns:
        float64 (h, w) in [0, 1].

    >>> covered([(0, 0, 0.75, 1), (0.5, 0, 0.75, 0.5)], (1, 2)).tolist()
    [[1.0, 0.5]]
    """
    x0, y0, x1, y1 = np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0, 1).T
    rows, height_of = _strips(np.concatenate([y0, y1]), shape[0])
    columns, width_of = _strips(np.concatenate([x0, x1]), shape[1])
    is_in_rows = (y0[:, np.newaxis] <= rows) & (rows < y1[:, np.newaxis])  # (boxes, strips)
    is_in_columns = (x0[:, np.newaxis] <= columns) & (columns < x1[:, np.newaxis])
    is_covered = (is_in_rows.T.astype(np.float64) @ is_in_columns) > 0
    return height_of @ is_covered @ width_of.T * (shape[0] * shape[1])


def _strips(edges: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the strips begin that cells and boxes cut a side into, and their lengths by cell: (cells, strips)."""
    ends = np.unique(np.concatenate([edges, np.arange(cells + 1) / cells]))
    starts, lengths = ends[:-1], np.diff(ends)
    cell = np.minimum(np.searchsorted(np.arange(1, cells + 1) / cells, starts, side="right"), cells - 1)
    return starts, np.where(cell == np.arange(cells)[:, np.newaxis], lengths, 0)
