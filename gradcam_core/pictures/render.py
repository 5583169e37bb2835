"""Heat maps as pictures: colour maps, and overlays on the photo."""

from functools import cache
from numbers import Real

import cv2
import numpy as np

from ..errors import PhotoError, SettingError

_OPENCV_MAPS = {
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "inferno": cv2.COLORMAP_INFERNO,
}
COLORMAPS: tuple[str, ...] = (*_OPENCV_MAPS, "grey")
MODES: tuple[str, ...] = ("alpha", "add")

_BAND = 256  # rows painted at a time: a 40-megapixel overlay needs the resized map and the result, no more


@cache
def lookup_table(colormap: str) -> np.ndarray:
    """The 256 colours of a colour map, from no evidence to the most.

    Args:
        colormap: one of COLORMAPS.

    Returns:
        uint8 (256, 3), RGB, read-only.

    Raises:
        SettingError: the colour map is unknown.

    >>> lookup_table("grey")[[0, 128, 255]].tolist()
    [[0, 0, 0], [128, 128, 128], [255, 255, 255]]
    """
    if colormap not in COLORMAPS:
        raise SettingError(f"There is no colour map {colormap!r}. Choose one of {', '.join(COLORMAPS)}.")
    table: np.ndarray = np.arange(256, dtype=np.uint8)[:, None]  # (256, 1)
    if colormap in _OPENCV_MAPS:
        table = cv2.applyColorMap(table, _OPENCV_MAPS[colormap])[:, 0, ::-1]  # OpenCV answers in BGR
    else:
        table = np.repeat(table, 3, axis=1)
    table = np.ascontiguousarray(table)
    table.flags.writeable = False
    return table


def resize_heat(heat: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bring a heat map to a photo's size, before it is coloured.

    Bilinear with half-pixel centres: a cell of the map lies over the part of the photo that it stands for.

    Args:
        heat: (h, w) in [0, 1].
        width, height: of the photo, in pixels.

    Returns:
        float32 (height, width) in [0, 1].

    Raises:
        SettingError: the heat map is not 2-D, finite and in [0, 1], or the size is not positive.

    >>> resize_heat(np.array([[0.0, 1.0]]), width=4, height=1).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    heat = _checked_heat(heat)
    if width < 1 or height < 1:
        raise SettingError(f"A heat map cannot be resized to {width} x {height} pixels.")
    resized = cv2.resize(heat, (int(width), int(height)), interpolation=cv2.INTER_LINEAR)
    return np.clip(resized, 0, 1, out=resized)


def colorize(heat: np.ndarray, colormap: str = "jet") -> np.ndarray:
    """Paint a heat map in the colours of a colour map, at its own size.

    Args:
        heat: (h, w) in [0, 1]; each value takes the nearest of 256 colours.
        colormap: one of COLORMAPS.

    Returns:
        uint8 (h, w, 3), RGB.

    Raises:
        SettingError: the heat map is not 2-D, finite and in [0, 1], or the colour map is unknown.

    >>> colorize(np.array([[0.0, 1.0]]), "grey").tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    return _colours(_checked_heat(heat), lookup_table(colormap))


def overlay(
    photo: np.ndarray,
    heat: np.ndarray,
    opacity: float = 0.4,
    colormap: str = "jet",
    mode: str = "alpha",
) -> np.ndarray:
    """Lay a heat map over its photo.

    Args:
        photo: uint8 (H, W, 3), RGB.
        heat: (h, w) in [0, 1], of any size: it covers the whole photo.
        opacity: in [0, 1].
        colormap: one of COLORMAPS.
        mode: "alpha" mixes, (1 - opacity) * photo + opacity * colour; "add" is the sum of the well-known
            Keras example, photo + opacity * colour, cut at 255: brighter, the photo whole underneath.

    Returns:
        uint8 (H, W, 3), RGB; the photo is not changed.

    Raises:
        SettingError: heat map, opacity, colour map or mode are not possible.
        PhotoError: the photo is not uint8 (H, W, 3).

    >>> photo = np.full((2, 2, 3), 100, np.uint8)
    >>> overlay(photo, np.ones((1, 1)), opacity=0.5, colormap="grey")[0, 0].tolist()
    [178, 178, 178]
    >>> overlay(photo, np.ones((1, 1)), opacity=0.5, colormap="grey", mode="add")[0, 0].tolist()
    [228, 228, 228]
    """
    check_photo(photo)
    _check_opacity(opacity)
    if mode not in MODES:
        raise SettingError(f"There is no overlay mode {mode!r}. Choose one of {', '.join(MODES)}.")
    table = lookup_table(colormap)
    height, width = photo.shape[:2]
    heat = resize_heat(heat, width, height)
    share = 1 - opacity if mode == "alpha" else 1.0
    painted = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BAND):
        rows = slice(top, top + _BAND)
        colour = _colours(heat[rows], table)
        painted[rows] = cv2.addWeighted(photo[rows], share, colour, float(opacity), 0)
    return painted


def _colours(heat: np.ndarray, table: np.ndarray) -> np.ndarray:
    level = np.rint(heat * 255).astype(np.uint8)
    return cv2.applyColorMap(level, table[:, None])


def _checked_heat(heat: np.ndarray) -> np.ndarray:
    heat = np.asarray(heat)
    if heat.ndim != 2 or heat.size == 0:
        raise SettingError(f"A heat map has the shape (height, width); this one has {heat.shape}.")
    if heat.dtype.kind not in "fiub":
        raise SettingError(f"A heat map holds numbers from 0 to 1; this one holds {heat.dtype}.")
    if not np.isfinite(heat).all():
        raise SettingError("A heat map holds numbers from 0 to 1; this one holds values that are not finite.")
    if heat.min() < -1e-6 or heat.max() > 1 + 1e-6:
        raise SettingError(
            f"A heat map holds numbers from 0 to 1; this one runs from {heat.min():g} to {heat.max():g}."
        )
    return heat.astype(np.float32).clip(0, 1)


def check_photo(photo: np.ndarray) -> None:
    """Refuse what nothing can be painted on.

    Raises:
        PhotoError: the photo is not uint8 (H, W, 3), or has no pixels.
    """
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        what = f"{photo.dtype} {photo.shape}" if isinstance(photo, np.ndarray) else type(photo).__name__
        raise PhotoError(f"An overlay needs a photo of uint8 (H, W, 3), as read_image gives it; this is {what}.")
    if photo.size == 0:
        raise PhotoError("The photo has no pixels.")


def _check_opacity(opacity: float) -> None:
    if not isinstance(opacity, Real) or not 0 <= opacity <= 1:
        raise SettingError(f"The opacity is a number from 0 (photo only) to 1 (colour only); this is {opacity!r}.")
