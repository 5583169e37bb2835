"""Any source of a photo -> upright RGB uint8 (H, W, 3), within limits, with errors that can be acted on."""

import os
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import PhotoError
from .arrays import from_array
from .decoding import from_pillow
from .limits import check_bytes
from .sources import open_path, read_file, shown_name
from .workers import decode, slots

Source = str | os.PathLike | bytes | BinaryIO | Image.Image | np.ndarray


def read_image(source: Source) -> np.ndarray:
    """Read a photo from wherever it is, as the pixels a person would see.

    EXIF orientation is applied, transparency is laid over white, 16-bit values are scaled (65535 -> 255; of
    16-bit *colour* files the high byte is kept), and an animation gives its first frame.

    Args:
        source: a path; the bytes of a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file; a binary file object
            (read from where it stands, not closed); a Pillow image (its current frame; never modified); or
            an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, bool, or floats in [0, 1].

    Returns:
        uint8 (H, W, 3), RGB, C-contiguous, sharing no memory with the source.

    Raises:
        PhotoError: missing, unreadable, empty, damaged, not a photo, more than 20 MB or 40 megapixels. The
            message names the file but never its folder.

    >>> read_image(np.full((2, 3), 0.5)).shape
    (2, 3, 3)
    >>> read_image(b"hello")
    Traceback (most recent call last):
    gradcam_core.errors.PhotoError: The photo is text, not a photo. Readable are JPEG, PNG, WebP, ...
    """
    if isinstance(source, np.ndarray):
        return from_array(source)
    if isinstance(source, Image.Image):
        with slots():
            return from_pillow(source, shown_name(getattr(source, "filename", "")))
    if isinstance(source, bytes | bytearray | memoryview):
        check_bytes(memoryview(source).nbytes, "The photo")
        return decode(bytes(source), "The photo")
    if isinstance(source, str | os.PathLike):
        file, name = open_path(os.fsdecode(source))
        with file:
            return decode(file, name)
    if callable(getattr(source, "read", None)):
        return decode(*read_file(source))
    raise PhotoError(
        "A photo is given as a path, bytes, a binary file, a Pillow image or a NumPy array; "
        f"this is {type(source).__name__}."
    )
