"""A contact sheet: the photo and the maps of all layers side by side, in one picture."""

import math
from bisect import bisect_right
from collections.abc import Mapping

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .colorbar import HEIGHT, colorbar
from .render import check_photo, overlay

_TILE = 320  # longest side of a tile
_GAP = 16
_LEAST_WIDTH = 200  # of a tile's place, so that a name under a narrow photo can be read
_SHEET_WIDTH = 2032  # six wide tiles: the photo and the five stages of most networks
_BAR_WIDTH = 400
_INK, _PALE_INK = (24, 24, 27), (82, 82, 91)


def contact_sheet(
    photo: np.ndarray,
    heats: Mapping[str, np.ndarray],
    opacity: float = 0.4,
    colormap: str = "jet",
    mode: str = "alpha",
    title: str | None = None,
    highest: float | None = None,
) -> np.ndarray:
    """One picture that shows the photo and all its overlays side by side, each with its name, over a colour bar.

    Args:
        photo: uint8 (H, W, 3), RGB.
        heats: name of the layer -> (h, w) in [0, 1], in the order in which they are shown.
        opacity, colormap, mode: as for overlay.
        title: a line above the pictures.
        highest: the evidence that a heat of 1 stands for, for the numbers of the colour bar; None: each map's own peak.

    Returns:
        uint8 (height, width, 3), RGB, on white: tiles of 320 pixels, several rows when there are many.

    Raises:
        SettingError, PhotoError: as overlay.

    >>> photo = np.zeros((100, 200, 3), np.uint8)
    >>> contact_sheet(photo, {"block1": np.zeros((7, 7)), "block2": np.ones((3, 3))}).shape
    (254, 1024, 3)
    """
    check_photo(photo)
    height, width = photo.shape[:2]
    scale = _TILE / max(width, height)
    tile_width, tile_height = max(1, round(width * scale)), max(1, round(height * scale))
    sampling = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(photo, (tile_width, tile_height), interpolation=sampling)
    named = [("photo", small)]
    named += [(str(name), overlay(small, heat, opacity, colormap, mode)) for name, heat in heats.items()]

    label_font, title_font = ImageFont.load_default(16), ImageFont.load_default(22)
    label_height, title_height = 30, 44 if title else 0
    cell_width, cell_height = max(tile_width, _LEAST_WIDTH) + _GAP, tile_height + label_height + _GAP // 2
    most = max((_SHEET_WIDTH - _GAP) // cell_width, math.ceil(math.sqrt(len(named))))
    rows = math.ceil(len(named) / most)
    columns = math.ceil(len(named) / rows)
    bottom = title_height + rows * cell_height + _GAP
    sheet = Image.new("RGB", (columns * cell_width + _GAP, bottom + (HEIGHT if heats else 0)), "white")
    draw = ImageDraw.Draw(sheet)
    if title:
        text = _fitted(title, title_font, sheet.width - 2 * _GAP)
        draw.text((_GAP, _GAP + 12), text, fill=_INK, font=title_font, anchor="lm")
    for number, (name, tile) in enumerate(named):
        row, column = divmod(number, columns)
        left = _GAP + column * cell_width
        top = title_height + _GAP + row * cell_height
        sheet.paste(Image.fromarray(tile), (left, top))
        text = _fitted(name, label_font, cell_width - _GAP)
        ink = _PALE_INK if number == 0 else _INK
        draw.text((left, top + tile_height + 15), text, fill=ink, font=label_font, anchor="lm")
    if heats:
        bar = colorbar(colormap, min(_BAR_WIDTH, sheet.width - 2 * _GAP), highest)
        sheet.paste(Image.fromarray(bar), (_GAP, bottom - _GAP // 2))
    return np.array(sheet)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text, its middle left out as far as it must be to fit the width in pixels."""
    text = " ".join(text.split())

    def keeping(count: int) -> str:
        return f"{text[: count // 2]}…{text[len(text) - (count - count // 2) :]}"

    if font.getlength(text) <= width:
        return text
    too_many = bisect_right(range(len(text)), width, key=lambda count: font.getlength(keeping(count)))
    return keeping(max(too_many - 1, 0))
