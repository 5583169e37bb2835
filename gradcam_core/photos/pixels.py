"""A Pillow image of any mode -> the RGB uint8 (H, W, 3) that a person would see, upright."""

from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION

from ..errors import PhotoError
from .colour import transform_of
from .depth import to_uint8

Empty = Callable[[tuple[int, int, int]], np.ndarray]  # (H, W, 3) -> an array to be written into

_BAND = 1 << 21  # Pixels are converted so many at a time: the peak is the decoded picture plus the result.

_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF orientation -> the upright photo as it is stored
    2: lambda photo: photo[:, ::-1],
    3: lambda photo: photo[::-1, ::-1],
    4: lambda photo: photo[::-1],
    5: lambda photo: photo.transpose(1, 0, 2),
    6: lambda photo: np.rot90(photo),
    7: lambda photo: photo[::-1, ::-1].transpose(1, 0, 2),
    8: lambda photo: np.rot90(photo, -1),
}


def new_photo(shape: tuple[int, int, int]) -> np.ndarray:
    """An array for the pixels, in this process's own memory."""
    return np.empty(shape, np.uint8)


def to_rgb(image: Image.Image, name: str, empty: Empty = new_photo) -> np.ndarray:
    """Load the image and give its pixels; ``name`` is for the error where its numbers cannot be shown."""
    raw_mode, frame = _stored_as(image)
    image.load()
    orientation = _orientation(image)
    is_turned = orientation in (5, 6, 7, 8)
    upright = empty((*(image.size if is_turned else image.size[::-1]), 3))
    photo = _STORED.get(orientation, lambda photo: photo)(upright)  # a view
    if image.mode == "F" or image.mode.startswith("I"):
        _write_grey_numbers(image, raw_mode, photo, name)
    else:
        _write_colours(image, raw_mode, photo)
    if frame:  # what a GIF's first frame leaves open is transparent
        left, top, right, bottom = frame
        inside = photo[top:bottom, left:right].copy()
        photo[:] = 255
        photo[top:bottom, left:right] = inside
    return upright


def _stored_as(image: Image.Image) -> tuple[str, tuple[int, int, int, int] | None]:
    """What Pillow forgets in loading: how the pixels are stored, and the box of a GIF's partial frame."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return "", None
    arguments, box = tiles[0][3], tiles[0][1]
    raw_mode = arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""
    is_partial = image.format == "GIF" and image.tell() == 0 and tuple(box) != (0, 0, *image.size)
    return raw_mode, tuple(box) if is_partial else None


def _orientation(image: Image.Image) -> int:
    try:  # after loading: Pillow turns a TIFF itself, and a PNG may store its EXIF after the pixels
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return 1


def _write_colours(image: Image.Image, raw_mode: str, photo: np.ndarray) -> None:
    transform = transform_of(image)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        hidden = band.info.get("transparency")
        if raw_mode in ("L;2", "L;4") and isinstance(hidden, int):  # Pillow widens the pixels, not this
            band.info["transparency"] = hidden * {"L;2": 85, "L;4": 17}[raw_mode]
        elif raw_mode == "RGB;16B" and isinstance(hidden, tuple):
            band.info["transparency"] = tuple(value >> 8 for value in hidden)
        photo[top : top + rows] = _over_white(band, transform)


def _over_white(image: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if transform:
        image = ImageCms.applyTransform(image.convert(transform.input_mode), transform) or image  # None: in place
    if alpha is None:
        return image.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white


def _write_grey_numbers(image: Image.Image, raw_mode: str, photo: np.ndarray, name: str) -> None:
    values = np.asarray(image)
    if image.mode == "I":  # 32 bits that hold 16, by Pillow's custom
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0 or highest > 65535:
            raise PhotoError(
                f"{name} holds 32-bit numbers from {lowest} to {highest}, and only 0 to 65535 can be shown. "
                "Save it with 8 or 16 bits."
            )
        values = values.astype(np.uint16)
    elif raw_mode == "I;12":
        values = (values.astype(np.uint32) * 65535 // 4095).astype(np.uint16)
    grey = to_uint8(values, name)
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC_INTERPRETATION) == 0:  # WhiteIsZero: Pillow inverts 8 bits only
        grey = 255 - grey
    if transform := transform_of(image):
        levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert(transform.input_mode)
        photo[:] = np.asarray(ImageCms.applyTransform(levels, transform))[0][grey]
    else:
        photo[:] = grey[..., None]
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        photo[values == hidden] = 255
