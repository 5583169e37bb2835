"""Every colour space shows its colours."""

import struct

import numpy as np
import pytest
from photo_files import BLACK, BLUE, RED, WHITE, chunk, encode, png, tiff
from PIL import Image

from gradcam_core.photos import read_image


@pytest.mark.parametrize(("kind", "tolerance"), [("JPEG", 3), ("TIFF", 0)])
def test_cmyk_shows_its_colours_and_not_their_negative(kind, tolerance):
    inks = {(0, 255, 255, 0): RED, (0, 0, 0, 0): WHITE, (0, 0, 0, 255): BLACK, (255, 255, 0, 0): BLUE}
    for ink, colour in inks.items():
        content = encode(Image.new("CMYK", (16, 16), ink), kind, **({"quality": 95} if kind == "JPEG" else {}))
        assert kind != "JPEG" or b"Adobe" in content  # Adobe stores the inks inverted
        assert np.abs(read_image(content).astype(int) - colour).max() <= tolerance


def test_lab_shows_its_colours():
    for (lightness, a, b), colour in {(255, 0, 0): WHITE, (0, 0, 0): BLACK, (138, 81, 70): RED}.items():
        content = tiff(1, 1, struct.pack("Bbb", lightness, a, b), t258=(8, 8, 8), t262=8, t277=3)
        assert np.abs(read_image(content).astype(int) - colour).max() <= 6


def test_grey_and_black_and_white_are_three_equal_channels():
    for source in (Image.new("L", (2, 2), 99), Image.new("1", (2, 2), 1)):
        level = 99 if source.mode == "L" else 255
        for kind in ("PNG", "TIFF", "BMP", "GIF"):
            assert read_image(encode(source, kind)).tolist() == [[[level] * 3] * 2] * 2


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_of_any_depth_shows_its_colours(bits):
    row = {1: b"\x40", 2: b"\x10", 4: b"\x01", 8: b"\x00\x01"}[bits]
    palette = chunk(b"PLTE", bytes([*RED, *BLUE]))
    assert read_image(png(2, 1, bits, 3, [row], palette)).tolist() == [[[*RED], [*BLUE]]]
