"""Numbers of any depth are scaled to 8 bits, and none is clipped."""

import struct

import numpy as np
import pytest
from photo_files import EIGHT, HALF_RED, SIXTEEN, WHITE, encode, png, tiff
from PIL import Image

from gradcam_core.errors import PhotoError
from gradcam_core.photos import read_image


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
