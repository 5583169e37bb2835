"""An array of any shape and depth that can be a photo -> RGB uint8 (H, W, 3)."""

import numpy as np
from PIL import Image

from ..errors import PhotoError
from .depth import to_uint8
from .limits import check_size
from .pixels import to_rgb


def from_array(array: np.ndarray) -> np.ndarray:
    if isinstance(array, np.matrix):
        raise PhotoError("A matrix is not a photo. Give np.asarray(matrix), an array (H, W).")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = " Give one photo of the batch, batch[0]." if array.ndim == 4 else ""
        raise PhotoError(
            "An array must have the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); "
            f"this one has {tuple(array.shape)}.{hint}"
        )
    check_size(array.shape[1], array.shape[0], "The array")
    photo = to_uint8(array, "The array")
    if photo.ndim == 2 or photo.shape[2] == 1:
        return np.repeat(photo.reshape(*photo.shape[:2], 1), 3, axis=2)
    if photo.shape[2] == 4:
        return to_rgb(Image.fromarray(np.ascontiguousarray(photo)), "The array")
    return np.ascontiguousarray(photo)
