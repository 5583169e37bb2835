"""The bar that says which colour stands for how much."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import SettingError
from .render import lookup_table

HEIGHT = 40  # with the numbers under it
_INK = (24, 24, 27)
_MARGIN = 8
_LEAST_WIDTH = 220  # of a bar with words beside it
_PARTS = 4  # between the numbers


def colorbar(colormap: str, width: int, highest: float | None = None, scale: float = 1.0) -> np.ndarray:
    """A colour map from left to right, with numbers under it, and what they are beside it.

    Args:
        colormap: one of COLORMAPS.
        width: in pixels, from 220 * scale up.
        highest: the evidence that the last colour stands for; None: shares of each map's own peak.
        scale: how many times its usual height, 40 pixels, it is high.

    Returns:
        uint8 (40 * scale, width, 3), RGB, on white.

    Raises:
        SettingError: the colour map is unknown, or the width is too small for the words.

    >>> colorbar("viridis", 240).shape
    (40, 240, 3)
    """
    least = round(_LEAST_WIDTH * scale)
    if width < least:
        raise SettingError(f"A colour bar is at least {least} pixels wide, not {width}. Give it more room.")
    table, font = lookup_table(colormap), ImageFont.load_default(12 * scale)
    margin, thick = round(_MARGIN * scale), round(12 * scale)
    picture = Image.new("RGB", (width, round(HEIGHT * scale)), "white")
    draw = ImageDraw.Draw(picture)
    what = "share of the peak" if highest is None else "evidence"
    draw.text((width - margin, margin + thick // 2), what, fill=_INK, font=font, anchor="rm")
    left, right = 2 * margin, width - 4 * margin - round(font.getlength(what))
    levels = np.rint(np.linspace(0, 255, right - left)).astype(int)
    bar = np.repeat(table[levels][np.newaxis], thick, axis=0)
    picture.paste(Image.fromarray(bar), (left, margin))
    parts = _PARTS if right - left >= 160 * scale else 1
    for part in range(parts + 1):
        x, y = left + (right - left - 1) * part / parts, margin + thick
        draw.line([(x, y), (x, y + 2 * scale)], fill=_INK, width=max(1, round(scale)))
        number = _number((1.0 if highest is None else highest) * part / parts)
        draw.text((x, y + 4 * scale), number, fill=_INK, font=font, anchor="mt")
    return np.array(picture)


def with_colorbar(picture: np.ndarray, colormap: str, highest: float | None = None) -> np.ndarray:
    """A picture with `colorbar` under it, as large as the picture asks for.

    Args:
        picture: uint8 (H, W, 3), RGB.
        colormap, highest: as for `colorbar`.

    Returns:
        uint8 (H + the bar's height, W, 3); white beside a picture that is too narrow for the bar.
    """
    height, width = picture.shape[:2]
    scale = max(1.0, max(height, width) / 1000)
    wide = max(width, round(_LEAST_WIDTH * scale))
    beside = np.full((height, wide - width, 3), 255, np.uint8)
    return np.vstack([np.hstack([picture, beside]), colorbar(colormap, wide, highest, scale)])


def _number(value: float) -> str:
    """At most three digits: 0, 0.25, 2.1, 310, 1.2e-05."""
    return "0" if value == 0 else f"{value:.3g}" if 1e-3 <= value < 1e4 else f"{value:.1e}"
