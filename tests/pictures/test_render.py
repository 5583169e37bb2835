"""Heat maps as pictures: exact colours, exact places, and a sheet that can be read."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from noisy import noisy_heat, noisy_photo

from gradcam_core.errors import GradcamError, PhotoError, SettingError
from gradcam_core.pictures.render import (
    COLORMAPS,
    colorize,
    lookup_table,
    overlay,
    resize_heat,
)
from gradcam_core.pictures.sheet import contact_sheet


def bilinear(heat, width, height):
    """Half-pixel centres, edges held: written out in float64, one axis after the other."""

    def weights(here, there):  # (there, here)
        centre = np.clip((np.arange(there) + 0.5) * here / there - 0.5, 0, here - 1)
        return np.clip(1 - np.abs(centre[:, None] - np.arange(here)), 0, None)

    return weights(heat.shape[0], height) @ heat.astype(np.float64) @ weights(heat.shape[1], width).T


def test_the_colour_maps_are_six_and_jet_comes_first():
    assert COLORMAPS == ("jet", "turbo", "viridis", "magma", "inferno", "grey")


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_a_lookup_table_has_256_colours_and_cannot_be_changed(colormap):
    table = lookup_table(colormap)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    assert len(np.unique(table, axis=0)) > 200
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_the_colours_are_rgb_and_not_bgr():
    assert lookup_table("jet")[0].tolist() == [0, 0, 128]  # dark blue: nothing
    assert lookup_table("jet")[255].tolist() == [128, 0, 0]  # dark red: the most
    assert lookup_table("viridis")[255].tolist() == [253, 231, 37]  # yellow
    assert lookup_table("turbo")[128, 1] > 240  # green in the middle
    assert lookup_table("grey").tolist() == [[level] * 3 for level in range(256)]


@pytest.mark.parametrize(
    ("colormap", "lowest", "middle", "highest"),
    [
        ("jet", (0, 0, 128), (130, 255, 126), (128, 0, 0)),
        ("turbo", (48, 18, 59), (164, 252, 60), (122, 4, 3)),
        ("viridis", (68, 1, 84), (33, 145, 140), (253, 231, 37)),
        ("magma", (0, 0, 4), (183, 55, 121), (252, 253, 191)),
        ("inferno", (0, 0, 4), (188, 55, 84), (252, 255, 164)),
    ],
)
def test_a_colour_map_is_the_one_that_is_known_by_its_name(colormap, lowest, middle, highest):
    """As Matplotlib and the authors of turbo have published them."""
    assert np.abs(lookup_table(colormap)[[0, 128, 255]] - np.array([lowest, middle, highest])).max() <= 1


@pytest.mark.parametrize("colormap", ["magma", "inferno", "viridis", "grey"])
def test_an_even_colour_map_grows_brighter_with_the_evidence(colormap):
    brightness = lookup_table(colormap).astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) > -1.5).all()
    assert brightness[255] > brightness[0] + 150


def test_a_heat_map_takes_the_nearest_colour():
    heat = np.array([[0, 0.4 / 255, 0.6 / 255, 0.5, 1]])
    np.testing.assert_array_equal(colorize(heat, "jet")[0], lookup_table("jet")[[0, 0, 1, 128, 255]])
    assert colorize(np.arange(256).reshape(16, 16) / 255, "grey")[..., 1].ravel().tolist() == list(range(256))


@pytest.mark.parametrize(
    ("cells", "width", "height"),
    [
        ((14, 14), 224, 224),
        ((7, 7), 500, 333),
        ((10, 6), 37, 1024),
        ((1, 1), 9, 5),
        ((2, 3), 3, 2),
        ((5, 7), 7, 600),
    ],
)
def test_a_heat_map_is_resized_bilinearly_with_half_pixel_centres(cells, width, height):
    heat = noisy_heat(*cells)
    resized = resize_heat(heat, width, height)
    assert (resized.dtype, resized.shape) == (np.float32, (height, width))
    np.testing.assert_allclose(resized, bilinear(heat, width, height), atol=2e-6)


def test_a_cell_stays_over_its_own_part_of_the_photo():
    heat = np.zeros((7, 7), np.float32)
    heat[1, 5] = 1
    resized = resize_heat(heat, width=700, height=350)
    y, x = np.mgrid[:350, :700] + 0.5
    assert (resized * x).sum() / resized.sum() == pytest.approx(550, abs=0.1)
    assert (resized * y).sum() / resized.sum() == pytest.approx(75, abs=0.1)


def test_resizing_leaves_the_range_from_0_to_1():
    for heat in (np.ones((3, 3)), np.zeros((3, 3)), noisy_heat() > 0.5):
        resized = resize_heat(heat, 101, 57)
        assert resized.min() >= 0
        assert resized.max() <= 1


def test_a_flipped_heat_map_gives_the_flipped_picture():
    heat = noisy_heat()
    np.testing.assert_allclose(resize_heat(heat[:, ::-1], 50, 40), resize_heat(heat, 50, 40)[:, ::-1], atol=1e-6)


def test_a_panorama_wider_than_32767_pixels_is_covered_too():
    resized = resize_heat(np.array([[0.0, 1.0]]), width=40_000, height=3)
    assert resized.shape == (3, 40_000)
    assert resized[1, [0, 19_999, 39_999]].tolist() == pytest.approx([0, 0.5, 1], abs=1e-4)


@pytest.mark.parametrize("opacity", [0, 0.1, 0.4, 0.5, 0.77, 1])
@pytest.mark.parametrize("colormap", COLORMAPS)
def test_an_overlay_mixes_photo_and_colour_to_the_nearest_level(colormap, opacity):
    photo, heat = noisy_photo(300, 83), noisy_heat()  # more rows than are painted at a time
    colour = colorize(resize_heat(heat, 83, 300), colormap).astype(np.float64)
    expected = (1 - opacity) * photo + opacity * colour
    painted = overlay(photo, heat, opacity, colormap)
    assert (painted.dtype, painted.shape) == (np.uint8, photo.shape)
    assert np.abs(painted - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("opacity", [0, 0.4, 1])
def test_the_articles_overlay_adds_the_colour_and_saturates(opacity):
    photo, heat = noisy_photo(), noisy_heat()
    colour = colorize(resize_heat(heat, 83, 61)).astype(np.float64)
    expected = np.clip(photo + opacity * colour, 0, 255)
    painted = overlay(photo, heat, opacity, mode="add")
    assert np.abs(painted - expected).max() <= 0.5 + 1e-3
    assert opacity == 0 or (painted == 255).any()


@pytest.mark.parametrize("mode", ["alpha", "add"])
def test_no_opacity_is_the_photo_itself(mode):
    np.testing.assert_array_equal(overlay(noisy_photo(), noisy_heat(), 0, mode=mode), noisy_photo())


def test_full_opacity_is_the_colour_alone():
    expected = colorize(resize_heat(noisy_heat(), 83, 61), "turbo")
    np.testing.assert_array_equal(overlay(noisy_photo(), noisy_heat(), 1, "turbo"), expected)


def test_the_defaults_are_the_articles_jet_at_two_fifths():
    expected = overlay(noisy_photo(), noisy_heat(), opacity=0.4, colormap="jet", mode="alpha")
    np.testing.assert_array_equal(overlay(noisy_photo(), noisy_heat()), expected)


def test_the_map_is_resized_before_it_is_coloured():
    """Coloured first, the middle between jet's two ends would be purple; it is green."""
    photo = np.zeros((1, 101, 3), np.uint8)
    middle = overlay(photo, np.array([[0.0, 1.0]]), opacity=1)[0, 50]
    assert middle[1] > 240


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (256, 3), (257, 3)])
def test_a_photo_of_any_size_is_covered(size):
    photo = noisy_photo(*size)
    expected = 0.6 * photo + 0.4 * lookup_table("jet")[255].astype(float)
    assert np.abs(overlay(photo, np.ones((7, 7))) - expected).max() <= 0.5 + 1e-3


def test_photo_and_heat_are_not_changed_and_may_be_views():
    photo, heat = noisy_photo()[:, ::-1, ::-1], noisy_heat()[::-1].T
    before = photo.copy(), heat.copy()
    painted = overlay(photo, heat)
    np.testing.assert_array_equal(painted, overlay(*before))
    np.testing.assert_array_equal(contact_sheet(photo, {"a": heat}), contact_sheet(before[0], {"a": before[1]}))
    np.testing.assert_array_equal(photo, before[0])
    np.testing.assert_array_equal(heat, before[1])
    for array in (photo, heat):
        array.flags.writeable = False
    np.testing.assert_array_equal(overlay(photo, heat), painted)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the peak memory as Linux does")
def test_an_overlay_of_40_megapixels_needs_little_more_than_its_result():
    script = """
        import resource
        import numpy as np
        from gradcam_core.pictures.render import overlay
        photo = np.full((5000, 8000, 3), 100, np.uint8)
        overlay(photo[:300], np.eye(7))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        overlay(photo, np.eye(7))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(script)]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    megabytes = int(answer.stdout) / 1024
    assert megabytes < 320  # the result has 114, the resized map 153; all in float64 would be 1900


BAD_HEAT = {
    "three axes": (np.zeros((7, 7, 1)), r"shape \(height, width\); this one has \(7, 7, 1\)"),
    "one axis": (np.zeros(7), "this one has"),
    "no cells": (np.zeros((0, 7)), r"this one has \(0, 7\)"),
    "NaN": (np.array([[0, np.nan]]), "not finite"),
    "infinite": (np.array([[0, np.inf]]), "not finite"),
    "above 1": (np.array([[0, 255]]), "runs from 0 to 255"),
    "below 0": (np.array([[-0.5, 1]]), "runs from -0.5 to 1"),
    "text": (np.array([["a"]]), "this one holds <U1"),
    "complex": (np.array([[1j]]), "this one holds complex128"),
    "nothing": (None, "this one has"),
}


@pytest.mark.parametrize(("heat", "sentence"), BAD_HEAT.values(), ids=BAD_HEAT)
def test_a_heat_map_that_is_none_gets_its_sentence(heat, sentence):
    for paint in (
        lambda: colorize(heat),
        lambda: resize_heat(heat, 8, 8),
        lambda: overlay(noisy_photo(), heat),
        lambda: contact_sheet(noisy_photo(), {"block1": heat}),
    ):
        with pytest.raises(SettingError, match=sentence):
            paint()


def test_rounding_just_outside_the_range_is_forgiven():
    assert colorize(np.array([[-1e-7, 1 + 1e-7]]), "grey")[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("colormap", ["rainbow", "JET", "", None, 3])
def test_an_unknown_colour_map_is_answered_with_those_there_are(colormap):
    for paint in (
        lambda: lookup_table(colormap),
        lambda: colorize(noisy_heat(), colormap),
        lambda: overlay(noisy_photo(), noisy_heat(), colormap=colormap),
    ):
        with pytest.raises(SettingError, match="Choose one of jet, turbo, viridis, magma, inferno, grey"):
            paint()


@pytest.mark.parametrize("opacity", [-0.01, 1.01, float("nan"), float("inf"), "0.4", None, [0.4]])
def test_an_opacity_outside_0_to_1_gets_its_sentence(opacity):
    with pytest.raises(SettingError, match=r"from 0 \(photo only\) to 1 \(colour only\)"):
        overlay(noisy_photo(), noisy_heat(), opacity)


@pytest.mark.parametrize("opacity", [np.float32(0.5), np.float64(0.5), 1, 0])
def test_an_opacity_may_be_any_real_number(opacity):
    assert overlay(noisy_photo(), noisy_heat(), opacity).shape == (61, 83, 3)


@pytest.mark.parametrize("mode", ["multiply", "", None])
def test_an_unknown_mode_is_answered_with_those_there_are(mode):
    with pytest.raises(SettingError, match="Choose one of alpha, add"):
        overlay(noisy_photo(), noisy_heat(), mode=mode)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_a_size_without_pixels_gets_its_sentence(size):
    with pytest.raises(SettingError, match="cannot be resized"):
        resize_heat(noisy_heat(), *size)


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        (np.zeros((5, 7), np.uint8), r"this is uint8 \(5, 7\)\."),
        (np.zeros((5, 5, 4), np.uint8), r"this is uint8 \(5, 5, 4\)\."),
        (np.zeros((5, 5, 3)), r"this is float64 \(5, 5, 3\)\."),
        (np.zeros((0, 5, 3), np.uint8), "The photo has no pixels"),
        ("taxi.jpg", r"this is str\."),
    ],
)
def test_an_overlay_wants_a_photo_that_has_been_read(photo, sentence):
    for paint in (lambda: overlay(photo, noisy_heat()), lambda: contact_sheet(photo, {})):
        with pytest.raises(PhotoError, match=sentence):
            paint()
    assert issubclass(PhotoError, GradcamError)
