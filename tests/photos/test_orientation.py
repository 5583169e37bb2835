"""Every photo stands upright."""

import numpy as np
import pytest
from photo_files import assert_is_a_photo, encode, few_colours, smooth
from PIL import Image

from gradcam_core.photos import read_image

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
