"""What is transparent lies over white."""

import struct

import numpy as np
import pytest
from photo_files import BLACK, BLUE, HALF_RED, RED, WHITE, chunk, encode, png
from PIL import Image

from gradcam_core.photos import read_image


def rgba(*pixels):
    return Image.fromarray(np.array([pixels], np.uint8))


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})])
def test_transparency_lies_over_white_and_the_hidden_colour_never_shows(kind, options):
    content = encode(rgba((*RED, 0), (*RED, 128), (*RED, 255), (*BLUE, 0)), kind, **options)
    assert read_image(content).tolist() == [[[*WHITE], [*HALF_RED], [*RED], [*WHITE]]]


def test_an_avif_with_transparency_lies_over_white():
    photo = read_image(encode(Image.new("RGBA", (32, 32), (*RED, 0)), "AVIF"))
    assert photo.min() >= 250


def test_grey_with_transparency_lies_over_white():
    grey = Image.merge("LA", (Image.new("L", (1, 1), 0), Image.new("L", (1, 1), 128)))
    for content in (encode(grey, "PNG"), encode(grey, "TIFF"), grey):
        assert read_image(content).tolist() == [[[127, 127, 127]]]


def test_a_palette_with_one_transparent_colour_shows_white_there():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF"):
        assert read_image(encode(image, kind, transparency=0)).tolist() == [[[*WHITE], [*BLUE]]]


def test_a_palette_with_an_alpha_for_each_colour_is_laid_over_white():
    palette = chunk(b"PLTE", bytes([*RED, *BLUE, *BLACK]))
    content = png(3, 1, 8, 3, [b"\0\1\2"], palette, chunk(b"tRNS", b"\x80\x00"))
    assert read_image(content).tolist() == [[[*HALF_RED], [*WHITE], [*BLACK]]]


def test_a_palette_image_with_an_alpha_band_is_laid_over_white():
    image = Image.new("P", (1, 1))
    image.putpalette([*RED])
    image = image.convert("PA")
    image.putpixel((0, 0), (0, 128))
    for source in (image, encode(image, "TIFF")):
        assert read_image(source).tolist() == [[[*HALF_RED]]]


def test_a_colour_declared_transparent_shows_white():
    rows = [bytes([*RED, *BLUE])]
    content = png(2, 1, 8, 2, rows, chunk(b"tRNS", struct.pack(">3H", *RED)))
    assert read_image(content).tolist() == [[[*WHITE], [*BLUE]]]


def test_a_16_bit_colour_declared_transparent_shows_white():
    key = (0x12FE, 0x3400, 0x56AA)
    content = png(2, 1, 16, 2, [struct.pack(">6H", *key, 0, 0, 0)], chunk(b"tRNS", struct.pack(">3H", *key)))
    assert read_image(content).tolist() == [[[*WHITE], [*BLACK]]]


@pytest.mark.parametrize(
    ("bits", "row", "key", "levels"),
    [
        (1, b"\x40", 1, [0, 255]),
        (2, b"\x1b", 2, [0, 85, 255, 255]),
        (4, b"\x0f\x30", 3, [0, 255, 255]),
        (8, b"\x00\x64\xc8", 100, [0, 255, 200]),
        (16, struct.pack(">3H", 0, 257, 513), 257, [0, 255, 2]),
    ],
)
def test_a_grey_declared_transparent_shows_white_at_every_depth(bits, row, key, levels):
    content = png(len(levels), 1, bits, 0, [row], chunk(b"tRNS", struct.pack(">H", key)))
    assert read_image(content)[0, :, 0].tolist() == levels
