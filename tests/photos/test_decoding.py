"""Photos from anywhere: the right pixels, or the right sentence."""

import io
import os
import re
import struct
import subprocess
import sys
import textwrap
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradcam_core.errors import PhotoError
from gradcam_core.photos import MAX_BYTES, MAX_PIXELS, read_image

WHITE, BLACK, RED, BLUE = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255)


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits, colour_type, rows, *extra):
    """A PNG from its raw rows, for the kinds that Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def few_colours(height=24, width=32):
    """(H, W, 3) with every corner different and few enough colours for a palette."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[: height // 2, : width // 2] = (250, 20, 10)
    photo[: height // 2, width // 2 :] = (10, 240, 30)
    photo[height // 2 :, : width // 2] = (20, 30, 230)
    photo[2, 5] = (255, 255, 0)
    return photo


def smooth(height=48, width=64):
    """(H, W, 3) of gentle gradients, which lossy formats keep well."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 + 20, y * 4 + 30, 220 - x - y], axis=2).astype(np.uint8)


def assert_is_a_photo(photo, height, width):
    assert (photo.dtype, photo.shape) == (np.uint8, (height, width, 3))
    assert photo.flags.c_contiguous
    assert photo.flags.writeable


# --- formats ---


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
        ("TIFF", {"big_tiff": True}),
    ],
)
def test_a_lossless_file_gives_exactly_its_pixels(kind, options):
    photo = read_image(encode(Image.fromarray(few_colours()), kind, **options))
    assert_is_a_photo(photo, 24, 32)
    np.testing.assert_array_equal(photo, few_colours())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("WEBP", {"quality": 95}),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        ("TIFF", {"compression": "jpeg", "quality": 95}),
    ],
)
def test_a_lossy_file_gives_nearly_its_pixels(kind, options):
    photo = read_image(encode(Image.fromarray(smooth()), kind, **options))
    assert_is_a_photo(photo, 48, 64)
    assert np.abs(photo.astype(int) - smooth()).max() <= 8


def test_a_jpeg_is_decoded_at_its_full_size():
    assert read_image(encode(Image.new("RGB", (1001, 777)), "JPEG")).shape == (777, 1001, 3)


def test_a_picture_higher_than_one_band_of_rows_is_whole():
    noise = np.random.default_rng(0).integers(0, 256, (1000, 7, 3), np.uint8)
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(noise), "PNG")), noise)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_the_smallest_pictures_are_photos_too(size):
    assert read_image(encode(Image.new("RGB", size, RED), "PNG")).tolist() == [[[*RED]] * size[0]] * size[1]


# --- sources ---


def test_a_path_may_be_text_or_a_path_object(tmp_path):
    path = tmp_path / "tåxi 1.png"
    path.write_bytes(encode(Image.fromarray(few_colours()), "PNG"))
    for source in (str(path), path):
        np.testing.assert_array_equal(read_image(source), few_colours())


def test_the_name_of_a_file_says_nothing_about_its_format(tmp_path):
    path = tmp_path / "taxi.jpg"
    path.write_bytes(encode(Image.fromarray(few_colours()), "PNG"))
    np.testing.assert_array_equal(read_image(path), few_colours())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_the_content_of_a_file(kind):
    np.testing.assert_array_equal(read_image(kind(encode(Image.fromarray(few_colours()), "PNG"))), few_colours())


def test_a_file_object_is_read_from_where_it_stands_and_stays_open():
    file = io.BytesIO(b"before" + encode(Image.fromarray(few_colours()), "PNG"))
    file.seek(6)
    np.testing.assert_array_equal(read_image(file), few_colours())
    assert not file.closed


def test_a_stream_that_answers_in_small_pieces_and_cannot_seek_is_read():
    class Stream(io.RawIOBase):
        rest = encode(Image.fromarray(few_colours()), "PNG")

        def read(self, count=-1):
            part, self.rest = self.rest[: min(count, 10)], self.rest[min(count, 10) :]
            return part

    np.testing.assert_array_equal(read_image(Stream()), few_colours())


def test_a_pillow_image_is_read_and_not_modified():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.open(io.BytesIO(encode(Image.fromarray(few_colours()).convert("RGBA"), "PNG", exif=exif)))
    stored.load()
    before = (stored.mode, stored.size, stored.tobytes(), dict(stored.info), dict(stored.getexif()))
    assert read_image(stored).shape == (32, 24, 3)
    assert (stored.mode, stored.size, stored.tobytes(), dict(stored.info), dict(stored.getexif())) == before


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "CMYK", "YCbCr", "HSV"])
def test_a_pillow_image_of_any_mode_is_read(mode):
    image = Image.new("RGB", (3, 2), "white")
    if mode == "RGBa":
        image = image.convert("RGBA").convert("RGBa")
    elif mode == "La":
        image = image.convert("LA").convert("La")
    else:
        image = image.convert(mode)
    assert np.abs(read_image(image).astype(int) - 255).max() <= 1


def test_the_photo_shares_no_memory_with_its_source():
    source = few_colours()
    read_image(source)[:] = 0
    np.testing.assert_array_equal(source, few_colours())


@pytest.mark.parametrize("source", [None, 3, ["taxi.png"], object()])
def test_what_is_no_photo_at_all_gets_a_sentence(source):
    with pytest.raises(PhotoError, match="A photo is given as a path"):
        read_image(source)


# --- orientation ---

# EXIF 2.3: orientation -> where the stored row 0 and the stored column 0 are on the upright picture
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored_as(upright, orientation):
    """The pixels that a camera stores for an upright picture, one by one, as the standard words it."""
    height, width = upright.shape[:2]
    row_side, column_side = SIDES[orientation]
    is_turned = row_side in ("left", "right")
    stored = np.empty((width, height, 3) if is_turned else upright.shape, np.uint8)
    for row in range(stored.shape[0]):
        for column in range(stored.shape[1]):
            place = {row_side: row, column_side: column}  # distance from each of the two sides
            y = place["top"] if "top" in place else height - 1 - place["bottom"]
            x = place["left"] if "left" in place else width - 1 - place["right"]
            stored[row, column] = upright[y, x]
    return stored


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    ],
)
def test_every_exif_orientation_is_set_upright(kind, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = smooth()
    content = encode(Image.fromarray(stored_as(upright, orientation)), kind, exif=exif, **options)
    photo = read_image(content)
    assert_is_a_photo(photo, 48, 64)
    tolerance = 8 if kind in ("JPEG", "AVIF") else 0
    assert np.abs(photo.astype(int) - upright).max() <= tolerance


@pytest.mark.filterwarnings("ignore")  # of Pillow's, about the broken EXIF
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0rubbish" * 9])
def test_a_photo_with_broken_exif_is_still_a_photo(exif):
    assert read_image(encode(Image.new("RGB", (4, 3)), "JPEG", exif=exif)).shape == (3, 4, 3)


def test_an_orientation_that_does_not_exist_changes_nothing():
    exif = Image.Exif()
    exif[0x0112] = 99
    content = encode(Image.fromarray(few_colours()), "PNG", exif=exif)
    np.testing.assert_array_equal(read_image(content), few_colours())


# --- transparency ---

HALF_RED = (255, 127, 127)  # red of alpha 128 over white


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


# --- depth ---

SIXTEEN = [0, 128, 257, 32768, 65407, 65535]
EIGHT = [0, 0, 1, 128, 255, 255]  # v / 257, to the nearest


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
def test_a_16_bit_grey_tiff_is_scaled_and_not_clipped(dtype, options):
    image = Image.fromarray(np.array([SIXTEEN], dtype))
    assert image.mode == ("I;16" if dtype == "<u2" else "I;16B")
    for source in (encode(image, "TIFF", **options), image):
        assert read_image(source)[0].tolist() == [[level] * 3 for level in EIGHT]


def test_a_16_bit_grey_png_is_scaled_and_not_clipped():
    content = png(6, 1, 16, 0, [struct.pack(">6H", *SIXTEEN)])
    assert read_image(content)[0, :, 1].tolist() == EIGHT


def test_a_16_bit_colour_png_is_scaled_and_not_clipped():
    values = np.array([[65535, 0, 257 * 77], [257, 32768, 65280], [40000, 1000, 511]])
    photo = read_image(png(3, 1, 16, 2, [values.astype(">u2").tobytes()]))
    assert np.abs(photo[0] - values / 257).max() < 1
    assert photo[0, 0].tolist() == [255, 0, 77]


def test_a_16_bit_png_with_alpha_is_scaled_and_laid_over_white():
    row = struct.pack(">8H", 65535, 0, 0, 257 * 128, 0, 0, 65535, 0)
    assert read_image(png(2, 1, 16, 6, [row])).tolist() == [[[*HALF_RED], [*WHITE]]]
    assert read_image(png(1, 1, 16, 4, [struct.pack(">2H", 0, 257 * 128)])).tolist() == [[[127] * 3]]


def tiff(width, height, pixels, **tags):
    """An uncompressed little-endian TIFF from raw pixels, for the kinds that Pillow cannot write."""
    fields = {256: width, 257: height, 259: 1, 273: 0, 278: height, 279: len(pixels)}
    fields |= {int(tag[1:]): value for tag, value in tags.items()}
    longer = {tag: value for tag, value in fields.items() if isinstance(value, tuple) and len(value) > 2}
    after = 8 + 2 + 12 * len(fields) + 4
    offsets, tail = {}, b""
    for tag, values in longer.items():
        offsets[tag] = after + len(tail)
        tail += struct.pack(f"<{len(values)}H", *values)
    fields[273] = after + len(tail)
    directory = struct.pack("<H", len(fields))
    for tag, value in sorted(fields.items()):
        if tag in offsets:
            directory += struct.pack("<HHII", tag, 3, len(value), offsets[tag])
        else:
            directory += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + tail + pixels


def test_a_16_bit_colour_tiff_is_scaled_and_not_clipped():
    values = np.array([65535, 0, 257 * 77, 257, 32768, 65280])
    content = tiff(2, 1, values.astype("<u2").tobytes(), t258=(16, 16, 16), t262=2, t277=3)
    assert read_image(content).reshape(-1).tolist() == [255, 0, 77, 1, 128, 255]


def test_a_12_bit_tiff_is_scaled_to_its_own_range():
    content = tiff(2, 1, bytes([0xFF, 0xF8, 0x00]), t258=12, t262=1, t277=1)  # 4095, 2048
    assert read_image(content)[0, :, 0].tolist() == [255, 128]


def test_a_tiff_in_which_0_is_white_is_not_a_negative():
    content = tiff(3, 1, struct.pack("<3H", 0, 257 * 100, 65535), t258=16, t262=0, t277=1)
    assert read_image(content)[0, :, 0].tolist() == [255, 155, 0]
    content = tiff(3, 1, bytes([0, 100, 255]), t258=8, t262=0, t277=1)
    assert read_image(content)[0, :, 0].tolist() == [255, 155, 0]


def test_32_bit_numbers_that_hold_16_bits_are_scaled():
    image = Image.fromarray(np.array([SIXTEEN], np.int32))
    assert image.mode == "I"
    for source in (image, encode(image, "TIFF")):
        assert read_image(source)[0, :, 0].tolist() == EIGHT


@pytest.mark.parametrize("values", [[-1, 5], [0, 65536]])
def test_32_bit_numbers_that_hold_more_get_a_sentence(values):
    content = encode(Image.fromarray(np.array([values], np.int32)), "TIFF")
    with pytest.raises(PhotoError, match=rf"32-bit numbers from {values[0]} to {values[1]}"):
        read_image(content)


def test_a_float_tiff_from_0_to_1_is_scaled():
    content = encode(Image.fromarray(np.array([[0, 0.25, 1]], np.float32)), "TIFF")
    assert read_image(content)[0, :, 0].tolist() == [0, 64, 255]


def test_a_float_tiff_of_another_range_gets_a_sentence(tmp_path):
    path = tmp_path / "height.tif"
    Image.fromarray(np.array([[-3, 800.5]], np.float32)).save(path)
    with pytest.raises(PhotoError, match=r"^height.tif holds floats from -3 to 800.5"):
        read_image(path)


# --- colour spaces ---


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


# --- animations ---


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("AVIF", {}), ("MPO", {})],
)
def test_an_animation_gives_its_first_frame(kind, options):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE, WHITE)]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.abs(read_image(content).astype(int) - RED).max() <= (8 if kind in ("AVIF", "MPO") else 0)


def test_a_pillow_image_gives_the_frame_that_the_caller_chose():
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    image = Image.open(io.BytesIO(encode(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    image.seek(1)
    assert read_image(image)[0, 0].tolist() == [*BLUE]


def test_what_the_first_frame_of_a_gif_leaves_open_is_white():
    content = bytearray(encode(Image.new("RGB", (2, 2), RED), "GIF"))
    content[6:10] = struct.pack("<HH", 4, 3)  # the canvas
    at = content.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 2, 2))
    content[at + 1 : at + 5] = struct.pack("<HH", 1, 0)  # the frame's place in it
    photo = read_image(bytes(content))
    expected = np.full((3, 4, 3), 255)
    expected[0:2, 1:3] = RED
    np.testing.assert_array_equal(photo, expected)


# --- arrays ---


def test_an_array_of_uint8_is_taken_as_it_is():
    np.testing.assert_array_equal(read_image(few_colours()), few_colours())
    flipped = few_colours()[:, ::-1, ::-1]
    np.testing.assert_array_equal(read_image(flipped), flipped)
    assert_is_a_photo(read_image(flipped), 24, 32)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_a_grey_array_gives_three_equal_channels(shape):
    values = np.arange(6, dtype=np.uint8).reshape(shape)
    photo = read_image(values)
    assert_is_a_photo(photo, 2, 3)
    for channel in range(3):
        np.testing.assert_array_equal(photo[..., channel], values.reshape(2, 3))


def test_an_array_with_alpha_is_laid_over_white():
    array = np.array([[(*RED, 0), (*RED, 128), (*RED, 255)]], np.uint8)
    for source in (array, array.astype(np.uint16) * 257, array / 255):
        assert read_image(source).tolist() == [[[*WHITE], [*HALF_RED], [*RED]]]


@pytest.mark.parametrize("dtype", [np.uint16, ">u2"])
def test_an_array_of_uint16_is_scaled(dtype):
    assert read_image(np.array([SIXTEEN], dtype))[0, :, 2].tolist() == EIGHT


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_array_of_floats_from_0_to_1_is_scaled(dtype):
    levels = np.tile(np.arange(256), (300, 1))  # more than one band of rows
    np.testing.assert_array_equal(read_image((levels / 255).astype(dtype))[..., 0], levels)


def test_an_array_of_truth_values_is_black_and_white():
    assert read_image(np.array([[True, False]])).tolist() == [[[*WHITE], [*BLACK]]]


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.full((2, 2, 3), 255.0), "floats from 255 to 255, but floats must lie from 0 to 1"),
        (np.full((2, 2), -0.5), "floats from -0.5"),
        (np.array([[0.5, np.nan]]), r"not numbers \(NaN\)"),
        (np.array([[0.5, np.inf]]), "to inf"),
        (np.zeros((2, 2, 3), np.int64), "numbers of type int64. Give uint8"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.array([["a"]]), "numbers of type <U1"),
        (np.array([[None]]), "numbers of type object"),
        (np.zeros(5, np.uint8), r"this one has \(5,\)"),
        (np.zeros((2, 2, 2), np.uint8), r"this one has \(2, 2, 2\)"),
        (np.zeros((3, 224, 224), np.uint8), r"this one has \(3, 224, 224\)"),
        (np.zeros((1, 8, 8, 3), np.uint8), r"Give one photo of the batch, batch\[0\]"),
        (np.zeros((0, 5, 3), np.uint8), r"The array has no pixels \(5 x 0\)"),
        (np.zeros((0, 0)), "no pixels"),
        (np.broadcast_to(np.uint8(0), (6400, 6400, 3)), "6400 x 6400 pixels"),
    ],
)
def test_an_array_that_cannot_be_a_photo_gets_its_sentence(array, sentence):
    with pytest.raises(PhotoError, match=sentence):
        read_image(array)


# --- what is refused ---

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
FOREIGN = {
    "empty": (b"", r"^taxi.jpg is empty \(0 bytes\)"),
    "HEIC": (HEIC, "is a HEIC photo.*Save it as JPEG"),
    "HEIF": (HEIC.replace(b"ftypheic", b"ftypmif1"), "is a HEIC photo"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "is an SVG drawing"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3", "is a PDF document"),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "is a JPEG XL picture"),
    "JPEG XL box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "is a JPEG XL picture"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "is a JPEG 2000 picture"),
    "web page": (b"\n<!DOCTYPE html><html><img src=taxi.jpg></html>", "is a web page"),
    "text": ("Grüße\nfrom a text file".encode() * 100, "is text"),
    "UTF-16 text": ("Grüße".encode("utf-16"), "is text"),
    "ZIP": (b"PK\x03\x04" + bytes(50), "is an archive"),
    "MP4": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(50), "is a video"),
    "WebM": (b"\x1a\x45\xdf\xa3" + bytes(50), "is a video"),
    "unknown": (bytes(range(256)), "is not a picture that can be read.*JPEG, PNG"),
    "Photoshop": (b"8BPS\0\1" + bytes(50), "is not a picture that can be read"),
}


@pytest.mark.parametrize(("content", "sentence"), FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_photo_is_named_for_what_it_is(tmp_path, content, sentence):
    path = tmp_path / "taxi.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=sentence) as refused:
        read_image(path)
    assert str(tmp_path) not in str(refused.value)


KINDS = [
    ("JPEG", {}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("AVIF", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
]


def noise(kind, options, size=(24, 20)):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    return encode(Image.fromarray(pixels), kind, **options)


@pytest.mark.filterwarnings("ignore")  # of Pillow's, about the tags of a damaged TIFF
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_that_is_cut_short_says_so(kind, options, share):
    whole = noise(kind, options, (64, 48))
    with pytest.raises(PhotoError, match=r"^The photo is (cut short|damaged)") as refused:
        read_image(whole[: int(len(whole) * share)])
    if kind in ("WEBP", "BMP", "GIF", "PNG") and share > 0.1:
        assert "cut short: its end is missing" in str(refused.value)
    assert refused.value.__cause__ is not None


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0" + bytes(500),
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 500,
        b"RIFF\x20\0\0\0WEBPVP8 " + bytes(500),
        b"GIF89a" + bytes(500),
        b"BM" + bytes(500),
        b"II*\0" + bytes(500),
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(500),
    ],
)
def test_a_damaged_file_says_so_and_keeps_the_cause(content):
    with pytest.raises(PhotoError, match=r"The photo (is damaged|is cut short|has no pixels)"):
        read_image(content)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_with_damage_anywhere_is_a_photo_or_a_sentence(kind, options):
    random = np.random.default_rng(2)
    whole = np.frombuffer(noise(kind, options), np.uint8)
    for _ in range(60):
        content = whole.copy()
        places = random.integers(4, min(len(content), 400), 3)
        content[places] = random.integers(0, 256, 3)
        try:
            photo = read_image(content.tobytes())
        except PhotoError:  # any other error fails the test
            continue
        assert_is_a_photo(photo, *photo.shape[:2])


def test_a_path_that_cannot_be_read_gets_its_sentence_without_its_folder(tmp_path):
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "file.txt").write_text("text")
    sentences = {
        tmp_path / "missing.png": "There is no file missing.png",
        tmp_path / "file.txt" / "taxi.png": "There is no file taxi.png",
        tmp_path / "loop.png": "loop.png cannot be read: ",
        tmp_path / "pipe.png": "pipe.png is not an ordinary file",
        tmp_path: f"{tmp_path.name} is a folder",
        f"{tmp_path}/nul\0.png": "cannot be read: its path is not valid",
        f"{tmp_path}/{'long' * 100}.png": "cannot be read: File name too long",
        f"{tmp_path}/line\nbreak.png": r"There is no file line\?break.png",
    }
    for path, sentence in sentences.items():
        with pytest.raises(PhotoError, match=sentence) as refused:
            read_image(path)
        assert str(tmp_path.parent) not in str(refused.value)
        assert len(str(refused.value)) < 200


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may read everything")
def test_a_file_without_permission_says_so(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(PhotoError, match=r"secret.png cannot be read: permission denied"):
        read_image(path)


@pytest.mark.parametrize("address", ["https://example.org/taxi.jpg", "data:image/png;base64,iVBORw0KGgo="])
def test_a_web_address_is_not_a_path(address):
    with pytest.raises(PhotoError, match=r"web address\. Save the picture"):
        read_image(address)


def test_an_empty_path_says_so():
    with pytest.raises(PhotoError, match="path of the photo is empty"):
        read_image("")


def test_a_file_opened_as_text_says_so(tmp_path):
    path = tmp_path / "taxi.txt"
    path.write_text("text")
    with path.open() as file, pytest.raises(PhotoError, match=r"taxi.txt is opened as text"):
        read_image(file)
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with (
        path.open(encoding="utf-8") as file,
        pytest.raises(PhotoError, match=r"taxi.txt cannot be read.*binary"),
    ):
        read_image(file)


def test_a_closed_file_says_so():
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(PhotoError, match=r"cannot be read\. Is it still open"):
        read_image(file)


# --- limits ---


def giant_png(side=13_000):
    line = zlib.compressobj(9)
    rows = b"".join(line.compress(bytes(1 + side * 3)) for _ in range(8)) + line.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    filler = chunk(b"prVt", bytes(500_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + filler + chunk(b"IEND", b"")


def giant_webp(side=16_000):
    extended = struct.pack("<I", 2) + (side - 1).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + extended + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def giant_bmp(side=13_000):
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 500, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(500)


def giant_gif(side=13_000):
    content = bytearray(encode(Image.new("L", (1, 1)), "GIF"))
    content[6:10] = struct.pack("<HH", side, side)
    return bytes(content)


def giant_jpeg(side=13_000):
    content = bytearray(encode(Image.new("L", (8, 8)), "JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(content)


def giant_tiff(side=13_000):
    return tiff(side, side, bytes(100), t258=8, t262=1, t277=1)


def giant_avif(side=13_000):
    content = bytearray(encode(Image.new("RGB", (64, 64)), "AVIF"))
    at = content.index(b"ispe")
    content[at + 8 : at + 16] = struct.pack(">II", side, side)
    return bytes(content)


GIANTS = [giant_avif, giant_png, giant_webp, giant_bmp, giant_gif, giant_jpeg, giant_tiff]


@pytest.mark.parametrize("giant", GIANTS)
def test_more_than_40_megapixels_are_refused_by_the_header_in_every_format(giant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own warning of a decompression bomb would be one
        with pytest.raises(PhotoError, match=r"1[36]000 x 1[36]000 pixels .*may have 40 megapixels"):
            read_image(giant())


@pytest.mark.skipif(sys.platform != "linux", reason="counts the peak memory as Linux does")
def test_a_giant_costs_neither_memory_nor_time():
    script = """
        import resource, sys, time
        sys.path.insert(0, "tests/photos")
        from test_decoding import GIANTS, PhotoError, encode, Image, read_image
        read_image(encode(Image.new("RGB", (8, 8)), "PNG"))
        files = [giant() for giant in GIANTS]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        for file in files:
            try:
                read_image(file)
            except PhotoError:
                continue
            raise SystemExit("a giant was read")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
    """
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(script)]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    kilobytes, seconds = answer.stdout.split()
    assert int(kilobytes) < 4096
    assert float(seconds) < 0.1


def test_exactly_40_megapixels_are_read():
    image = Image.new("1", (8000, MAX_PIXELS // 8000))
    assert read_image(encode(image, "PNG")).shape == (5000, 8000, 3)
    with pytest.raises(PhotoError, match=r"8000 x 5001 pixels \(40.0 megapixels\)"):
        read_image(Image.new("1", (8000, 5001)))


def test_a_small_tiff_with_a_giant_tile_is_refused():
    content = tiff(8, 8, bytes(64), t258=8, t262=1, t277=1, t322=16_000, t323=16_000)
    with pytest.raises(PhotoError, match="16000 x 16000"):
        read_image(content)


def test_a_jpeg_of_endless_scans_is_refused():
    content = encode(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    assert read_image(content).shape == (64, 64, 3)
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(PhotoError, match="damaged, or of a rare kind"):
        read_image(content[:-2] + last_scan * 200 + content[-2:])
    film = b"\0\2" + b"\xff\xda\0\2" * 500  # that a phone stores behind the photo
    assert read_image(content + film).shape == (64, 64, 3)


def test_more_than_20_megabytes_are_refused_unread(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PhotoError, match=r"^large.png is 20.1 MB; a photo may have 20 MB"):
        read_image(path)
    with pytest.raises(PhotoError, match=r"^The photo is 20.1 MB"):
        read_image(bytes(MAX_BYTES + 1))


def test_a_file_object_is_read_no_further_than_the_limit():
    class Endless(io.RawIOBase):
        given = 0

        def read(self, count=-1):
            assert count >= 0, "an endless file would be read whole"
            self.given += count
            return bytes(count)

    endless = Endless()
    with pytest.raises(PhotoError, match="The photo is larger than 20 MB"):
        read_image(endless)
    assert endless.given == MAX_BYTES + 1


def test_exactly_20_megabytes_are_read():
    content = encode(Image.fromarray(few_colours()), "PNG")
    content += bytes(MAX_BYTES - len(content))
    for source in (content, io.BytesIO(content)):
        np.testing.assert_array_equal(read_image(source), few_colours())


def test_no_more_than_two_photos_are_decoded_at_once():
    entered, may_leave = threading.Semaphore(0), threading.Event()

    class Watched(Image.Image):
        def load(self):
            entered.release()
            may_leave.wait(30)
            return super().load()

    def watched():
        image = Watched()
        image.im, image._mode, image._size = Image.new("RGB", (4, 4), RED).im, "RGB", (4, 4)
        return image

    photos = []
    threads = [threading.Thread(target=lambda: photos.append(read_image(watched()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert entered.acquire(timeout=30)
        assert entered.acquire(timeout=30)
        assert not entered.acquire(timeout=0.2)
    finally:
        may_leave.set()
        for thread in threads:
            thread.join(30)
    assert [photo.tolist() for photo in photos] == [[[[*RED]] * 4] * 4] * 4


def test_reading_leaves_pillows_own_limit_alone():
    before = Image.MAX_IMAGE_PIXELS
    filters = list(warnings.filters)
    read_image(encode(Image.new("RGB", (4, 4)), "PNG"))
    with pytest.raises(PhotoError):
        read_image(giant_png())
    assert before == Image.MAX_IMAGE_PIXELS
    assert warnings.filters == filters


def test_every_sentence_ends_with_a_full_stop_and_names_no_type():
    for content, _ in FOREIGN.values():
        with pytest.raises(PhotoError) as refused:
            read_image(content)
        assert re.fullmatch(r"The photo is [^\n]*[.)]", str(refused.value))
        assert not re.search(r"Error|<_io|0x[0-9a-f]{6}", str(refused.value))
