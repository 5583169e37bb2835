"""Colours as the photo's own ICC profile means them -> sRGB, which is what a browser shows."""

import io

import numpy as np
from PIL import Image, ImageCms


def transform_of(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """What gives the image's colours in sRGB, as `PIL.ImageCms.applyTransform` takes it.

    Its ``input_mode``, to which the image is to be converted, is "L", "RGB" or "CMYK". None where there is nothing to
    do: no profile, a broken one, one for other images, or one that is sRGB's but for rounding.
    """
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        mode = _mode_of(image, profile.profile.xcolor_space.strip())
        if mode is None:
            return None
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (
        ImageCms.PyCMSError,
        KeyError,
        OSError,
        TypeError,
        ValueError,
    ):  # it is still a photo
        return None
    return None if _changes_nothing(transform) else transform


def _mode_of(image: Image.Image, space: str) -> str | None:
    is_grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    if space == "GRAY":
        return "L" if is_grey else None
    if space == "RGB":
        return "RGB" if is_grey or image.mode in ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr") else None
    return "CMYK" if space == image.mode == "CMYK" else None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colours = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), 3).reshape(1, -1, 3))
    before = colours.convert(transform.input_mode)
    after = np.asarray(ImageCms.applyTransform(before, transform), np.int16)
    return bool(np.abs(after - np.asarray(before.convert("RGB"))).max() <= 1)
