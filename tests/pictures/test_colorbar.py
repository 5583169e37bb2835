"""The bar that says what the colours stand for."""

import numpy as np
import pytest
from noisy import noisy_photo
from PIL import Image, ImageDraw, ImageFont

import gradcam_core as gc
from gradcam_core.pictures.colorbar import colorbar, with_colorbar
from gradcam_core.pictures.render import lookup_table
from gradcam_core.pictures.sheet import contact_sheet


@pytest.mark.parametrize("colormap", ["grey", "viridis", "jet"])
def test_it_runs_from_no_evidence_to_the_most(colormap):
    bar = colorbar(colormap, 400)
    assert bar.shape == (40, 400, 3)
    table = lookup_table(colormap).astype(int)
    row = bar[14, 16:260].astype(int)
    np.testing.assert_array_equal(row[0], table[0])
    place = np.abs(row[:, np.newaxis] - table).sum(2).argmin(1)
    assert (np.diff(place) >= 0).all()
    assert place[-1] > 240


@pytest.mark.parametrize(
    ("highest", "words", "numbers"),
    [
        (None, "share of the peak", ["0", "0.25", "0.5", "0.75", "1"]),
        (7.5, "evidence", ["0", "1.88", "3.75", "5.62", "7.5"]),
        (3e-7, "evidence", ["0", "7.5e-08", "1.5e-07", "2.2e-07", "3.0e-07"]),
        (41250.0, "evidence", ["0", "1.0e+04", "2.1e+04", "3.1e+04", "4.1e+04"]),
        (0.0, "evidence", ["0"] * 5),  # no evidence anywhere
    ],
)
@pytest.mark.parametrize("scale", [1, 2])
def test_its_numbers_are_shares_or_evidence(highest, words, numbers, scale):
    bar, font = colorbar("jet", 400 * scale, highest, scale), ImageFont.load_default(12 * scale)
    right = (400 - 32) * scale - round(font.getlength(words)) - 1  # of the last colour
    picture = Image.new("RGB", (400 * scale, 40 * scale), "white")
    draw = ImageDraw.Draw(picture)
    for part, number in enumerate(numbers):
        draw.text((16 * scale + (right - 16 * scale) * part / 4, 24 * scale), number, (24, 24, 27), font, "mt")
    draw.text((392 * scale, 14 * scale), words, (24, 24, 27), font, "rm")
    expected, colours = np.array(picture), np.s_[8 * scale : 24 * scale, : right + 4 * scale]
    expected[colours] = bar[colours]
    np.testing.assert_array_equal(bar, expected)


@pytest.mark.parametrize(("width", "scale"), [(219, 1), (100, 1), (0, 1), (-5, 1), (439, 2)])
def test_a_bar_without_room_for_its_words_is_refused(width, scale):
    with pytest.raises(gc.SettingError, match=f"at least {220 * scale} pixels wide, not {width}"):
        colorbar("jet", width, scale=scale)


def test_a_sheet_says_what_its_colours_stand_for():
    photo, heats = noisy_photo(), {"a": np.eye(3), "b": np.ones((2, 5))}
    each, shared = contact_sheet(photo, heats), contact_sheet(photo, heats, highest=12.0)
    assert each.shape == shared.shape
    np.testing.assert_array_equal(each[:-60], shared[:-60])
    assert (each[-60:] != shared[-60:]).any()
    assert len(contact_sheet(photo, {})) == len(each) - 40  # nothing is coloured there


@pytest.mark.parametrize("highest", [None, 7.5])
def test_the_bar_of_a_sheet_has_its_colours(highest):
    sheet = contact_sheet(noisy_photo(), {"a": np.eye(3), "b": np.ones((2, 5))}, colormap="magma", highest=highest)
    np.testing.assert_array_equal(sheet[-48:-8, 16:416], colorbar("magma", 400, highest))


@pytest.mark.parametrize("size", [(60, 300), (700, 90), (2000, 300), (2000, 3000)])
def test_under_a_picture_of_any_shape_it_can_be_read(size):
    photo = noisy_photo(*size)
    both = with_colorbar(photo, "magma", 2.0)
    scale = max(1, max(size) / 1000)
    assert both.shape == (size[0] + 40 * scale, max(size[1], 220 * scale), 3)
    np.testing.assert_array_equal(both[: size[0], : size[1]], photo)
    assert (both[: size[0], size[1] :] == 255).all()
    assert (both[size[0] :] != 255).any()
