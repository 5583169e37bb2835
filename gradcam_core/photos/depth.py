"""Numbers of any depth -> the 256 levels of a picture."""

import math

import numpy as np

from ..errors import PhotoError

_BAND = 256  # rows that are scaled at once, which keeps the peak low


def to_uint8(values: np.ndarray, name: str) -> np.ndarray:
    """uint8 as it is, uint16 and floats in [0, 1] to the nearest level, bool to 0 and 255; always a copy."""
    if values.dtype == np.uint8:
        return values.copy()
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((np.arange(65536) + 128) // 257).astype(np.uint8)[values]
    if values.dtype.kind != "f":
        raise PhotoError(
            f"{name} holds numbers of type {values.dtype}. Give uint8 (0 to 255), uint16, bool, or floats from 0 to 1."
        )
    lowest, highest = float(values.min()), float(values.max())
    if math.isnan(lowest):
        raise PhotoError(f"{name} holds values that are not numbers (NaN).")
    if lowest < 0 or highest > 1:
        raise PhotoError(
            f"{name} holds floats from {lowest:g} to {highest:g}, but floats must lie from 0 to 1. "
            "Scale them, or give uint8 (0 to 255)."
        )
    scaled = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _BAND):
        scaled[top : top + _BAND] = np.rint(values[top : top + _BAND].astype(np.float64) * 255)
    return scaled
