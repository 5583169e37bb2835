"""Every colour space shows its colours."""

import base64
import io
import struct

import numpy as np
import pytest
from photo_files import BLACK, BLUE, RED, WHITE, chunk, encode, png, tiff
from PIL import Image
from profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    gamma_curve,
    grey_profile,
    light_of_inks,
    monitor_profile,
    press_profile,
    srgb_curve,
)

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


# --- profiles ---

DRAW = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
  const context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  return [canvas.height, canvas.width, ...context.getImageData(0, 0, canvas.width, canvas.height).data];
}"""

PROFILES = {
    "none": None,
    "sRGB": monitor_profile(SRGB, srgb_curve()),
    "Display P3": monitor_profile(DISPLAY_P3, srgb_curve()),
    "Adobe RGB": monitor_profile(ADOBE_RGB, gamma_curve(2.2)),
    "ProPhoto": monitor_profile(PROPHOTO, gamma_curve(1.8)),
    "grey": grey_profile(1.5),
    "press": press_profile(),
    "broken": b"no profile at all" * 20,
    "cut short": monitor_profile(DISPLAY_P3, srgb_curve())[:200],
}


def patches(height=48, width=64):
    """An RGB image of patches of every colour, 8 x 8 pixels each, so that no codec blurs them."""
    colours = np.random.default_rng(3).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)


def fading(image):
    """The image with an alpha that rises from left to right."""
    image = image.copy()
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return image


STORED = {
    "JPEG": lambda icc: encode(patches(), "JPEG", quality=95, subsampling=0, icc_profile=icc),
    "grey JPEG": lambda icc: encode(patches().convert("L"), "JPEG", quality=95, icc_profile=icc),
    "PNG": lambda icc: encode(patches(), "PNG", icc_profile=icc),
    "PNG with alpha": lambda icc: encode(fading(patches()), "PNG", icc_profile=icc),
    "grey PNG": lambda icc: encode(patches().convert("L"), "PNG", icc_profile=icc),
    "grey PNG with alpha": lambda icc: encode(fading(patches().convert("L")), "PNG", icc_profile=icc),
    "16-bit PNG": lambda icc: encode(
        Image.fromarray(np.asarray(patches().convert("L"), np.uint16) * 257), "PNG", icc_profile=icc
    ),
    "palette": lambda icc: encode(patches().quantize(40), "PNG", transparency=3, icc_profile=icc),
    "WebP": lambda icc: encode(fading(patches()), "WEBP", lossless=True, exact=True, icc_profile=icc),
    "AVIF": lambda icc: encode(patches(), "AVIF", quality=100, subsampling="4:4:4", icc_profile=icc),
}


@pytest.fixture(scope="module")
def shown(browser_context):
    """What Chromium shows of a file: (H, W, 3), over white."""
    page = browser_context.new_page()

    def draw(content):
        kind = Image.open(io.BytesIO(content)).get_format_mimetype()
        height, width, *levels = page.evaluate(DRAW, f"data:{kind};base64,{base64.b64encode(content).decode()}")
        return np.array(levels).reshape(height, width, 4)[..., :3]

    yield draw
    page.close()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("stored", STORED)
def test_the_pixels_are_those_that_a_browser_shows(shown, stored, profile):
    if stored == "AVIF" and profile in ("grey", "press", "broken", "cut short"):
        pytest.skip("Chromium does not show an AVIF with such a profile")
    content = STORED[stored](PROFILES[profile])
    assert np.abs(read_image(content).astype(int) - shown(content)).max() <= 1


def test_inks_without_a_profile_are_those_that_a_browser_shows(shown):
    red, green, blue = patches().split()
    for profile in (None, PROFILES["Display P3"], PROFILES["broken"]):  # the last two are none for inks
        content = encode(
            Image.merge("CMYK", [red, green, blue, green.rotate(180)]), "JPEG", quality=95, icc_profile=profile
        )
        assert np.abs(read_image(content).astype(int) - shown(content)).max() <= 1


def decoded(levels):
    """sRGB levels -> light, 0 to 1 (IEC 61966-2-1)."""
    values = np.asarray(levels) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})])
def test_display_p3_is_what_its_primaries_say(kind, options):
    levels = np.asarray(patches())
    expected = encoded(decoded(levels) @ DISPLAY_P3 @ np.linalg.inv(SRGB))
    photo = read_image(encode(patches(), kind, icc_profile=PROFILES["Display P3"], **options))
    assert np.abs(photo - expected).max() < 1.5
    assert np.abs(photo - levels.astype(int)).max() > 50


def test_inks_are_what_their_profile_says():
    """Chromium is no measure here: it turns black ink into the three others before it looks at the profile."""
    red, green, blue = patches().split()
    inks = Image.merge("CMYK", [red, green, blue, green.rotate(180)])
    expected = encoded(light_of_inks(np.asarray(inks) / 255))
    for kind, options in (("TIFF", {}), ("JPEG", {"quality": 100})):
        photo = read_image(encode(inks, kind, icc_profile=PROFILES["press"], **options))
        assert np.abs(photo - expected).max() < 4  # between two entries of its table
    assert np.abs(read_image(encode(inks, "TIFF")) - expected).max() > 30


def test_a_profile_like_srgb_changes_not_one_level():
    np.testing.assert_array_equal(read_image(encode(patches(), "PNG", icc_profile=PROFILES["sRGB"])), patches())
    for mode in ("L", "I;16"):
        grey = patches().convert("L")
        image = grey if mode == "L" else Image.fromarray(np.asarray(grey, np.uint16) * 257)
        photo = read_image(encode(image, "PNG", icc_profile=PROFILES["Display P3"]))
        np.testing.assert_array_equal(photo[..., 1], grey)


def test_a_profile_counts_for_a_pillow_image_too():
    content = encode(patches(), "JPEG", quality=95, icc_profile=PROFILES["Adobe RGB"])
    np.testing.assert_array_equal(read_image(Image.open(io.BytesIO(content))), read_image(content))


def test_a_turned_photo_has_its_colours_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = read_image(encode(patches(), "PNG", icc_profile=PROFILES["Display P3"]))
    turned = read_image(encode(patches(), "PNG", icc_profile=PROFILES["Display P3"], exif=exif))
    np.testing.assert_array_equal(turned, np.rot90(upright, -1))


# --- YCbCr in TIFF ---


def ycbcr_tiff(image, across, down):
    """Uncompressed: of ``across`` x ``down`` pixels every lightness, and then one blue and one red for all of them."""
    values, height, width = np.asarray(image.convert("YCbCr")), image.height, image.width
    pixels = b""
    for top in range(0, height, down):
        for left in range(0, width, across):
            block = values[top : top + down, left : left + across]
            pixels += block[..., 0].tobytes() + bytes(block[0, 0, 1:].tolist())
    return tiff(width, height, pixels, t258=(8, 8, 8), t262=6, t277=3, t530=(across, down))


@pytest.mark.parametrize("sharing", [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_an_uncompressed_ycbcr_tiff_shows_its_colours(sharing):
    content = ycbcr_tiff(patches(), *sharing)
    for source in (content, Image.open(io.BytesIO(content))):
        assert np.abs(read_image(source).astype(int) - np.asarray(patches())).max() <= 3
