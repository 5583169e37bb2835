"""Images of any number of channels: arrays and .npy files, the way to grey, and three channels to look at."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..errors import PhotoError
from .limits import check_size
from .reading import Source, read_image
from .sources import shown_name


def read_channels(source: Source, count: int) -> np.ndarray:
    """An image as a network of so many channels takes it.

    Args:
        source: for 1 or 3 channels anything that `read_image` takes. For others an array (H, W, count) of numbers, or
            the path of a .npy file that holds one.
        count: of the channels.

    Returns:
        uint8 (H, W, 3), RGB, for 1 and 3 channels; else float32 (H, W, count), the values as they are.

    Raises:
        PhotoError: it is no such image; as `read_image`.
    """
    if count in (1, 3):
        return read_image(source)
    name = "The array"
    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == ".npy":
        name = shown_name(source)
        source = _from_file(Path(source), name)
    if not isinstance(source, np.ndarray):
        raise PhotoError(
            f"This network takes {count} channels, which no photo has: give an array (H, W, {count}), or the path of a "
            ".npy file that holds one."
        )
    if source.ndim != 3 or source.shape[2] != count:
        raise PhotoError(f"{name} has the shape {source.shape}; this network takes (H, W, {count}).")
    check_size(source.shape[1], source.shape[0], name)
    if source.dtype.kind not in "biuf":
        raise PhotoError(f"{name} holds values of type {source.dtype}, which are no numbers.")
    values = source.astype(np.float32)
    if not np.isfinite(values).all():
        raise PhotoError(f"{name} holds values that are not numbers (NaN), or infinite ones.")
    return values


def _from_file(path: Path, name: str) -> np.ndarray:
    """The array in a .npy file, which is read when it is used; nothing in it is run."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise PhotoError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    except Exception as error:  # what NumPy, and zipfile for it, raise of anybody's file
        raise PhotoError(f"{name} is no .npy file of numbers, or is damaged.") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise PhotoError(f"{name} is no .npy file of numbers, or is damaged.")
    return array  # read when its shape is known to be right


def to_grey(image: np.ndarray) -> np.ndarray:
    """float32 (h, w, 1) from uint8 (h, w, 3): the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B."""
    return image.astype(np.float32) @ np.array([[0.299], [0.587], [0.114]], np.float32)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The whole image at another (height, width), of the same type: (h, w, c) from (H, W, c).

    The aspect ratio is not kept, so the way back is exact: a map stretched over the photo lies where it was.
    """
    if image.shape[2] > 4:  # more than OpenCV takes at once
        return np.dstack([resized(image[..., i : i + 4], size) for i in range(0, image.shape[2], 4)])
    height, width = size
    # INTER_AREA averages what it shrinks; a side that grows needs interpolation, so each has its step.
    smaller = (min(width, image.shape[1]), min(height, image.shape[0]))
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)


def picture_of(image: np.ndarray, shown: Sequence[int]) -> np.ndarray:
    """What is shown of an image: uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3), which is given back, or float32 (H, W, c).
        shown: the channels that are shown as red, green and blue, from their lowest value (black) to their highest.
    """
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return image
    values = image[..., list(shown)]
    lowest, spread = values.min(), float(np.ptp(values))
    return np.rint(255 * (values - lowest) / (spread or 1)).astype(np.uint8)
