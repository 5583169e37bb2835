"""The picture of all layers side by side."""

import cv2
import numpy as np
import pytest
from noisy import noisy_heat, noisy_photo
from PIL import Image

from gradcam_core.pictures.render import overlay
from gradcam_core.pictures.sheet import contact_sheet


def tile_boxes(sheet, longest=320):
    """(left, top, right, bottom) of every picture on the sheet: what is not white, larger than any letter."""
    inked = (sheet != 255).any(axis=2).astype(np.uint8)
    boxes = cv2.connectedComponentsWithStats(inked)[2][1:]
    large = [(x, y, x + w, y + h) for x, y, w, h, _ in boxes.tolist() if max(w, h) >= longest - 1]
    return sorted(large, key=lambda box: (box[1], box[0]))


GREY_PHOTO = np.full((300, 450, 3), 100, np.uint8)


def heats(count):
    return {f"block{number}": np.full((7, 7), number / count) for number in range(1, count + 1)}


def test_the_photo_comes_first_and_then_every_layer_in_its_order():
    sheet = contact_sheet(GREY_PHOTO, heats(5), colormap="grey")
    boxes = tile_boxes(sheet)
    assert len(boxes) == 6
    assert len({top for _, top, _, _ in boxes}) == 1  # side by side
    assert {(right - left, bottom - top) for left, top, right, bottom in boxes} == {(320, 213)}
    middles = [sheet[(top + bottom) // 2, (left + right) // 2].tolist() for left, top, right, bottom in boxes]
    assert middles[0] == [100, 100, 100]
    assert middles[1:] == [[round(60 + 0.4 * round(255 * n / 5))] * 3 for n in range(1, 6)]


def test_every_picture_has_a_name_under_it():
    sheet = contact_sheet(GREY_PHOTO, heats(3))
    for left, _, right, bottom in tile_boxes(sheet):
        label = sheet[bottom + 2 : bottom + 28, left:right]
        assert (label < 100).all(axis=2).sum() > 50
        assert (label[:, -100:] == 255).all()


def test_settings_reach_the_pictures_of_the_sheet():
    photo, heat = noisy_photo(320, 320), noisy_heat()
    sheet = contact_sheet(photo, {"block1": heat}, opacity=0.7, colormap="magma", mode="add")
    np.testing.assert_array_equal(sheet[16:336, 16:336], photo)
    expected = overlay(photo, heat, 0.7, "magma", "add")
    np.testing.assert_array_equal(sheet[16:336, 352:672], expected)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 1), (6, 2), (17, 3), (48, 7)])
def test_many_layers_make_several_rows(count, rows):
    sheet = contact_sheet(GREY_PHOTO, heats(count))
    boxes = tile_boxes(sheet)
    assert len(boxes) == count + 1
    assert len({top for _, top, _, _ in boxes}) == rows


def test_several_rows_are_read_like_a_page():
    sheet = contact_sheet(GREY_PHOTO, heats(7), colormap="grey")
    boxes = tile_boxes(sheet)  # from left to right, and from top to bottom
    assert len({left for left, _, _, _ in boxes}) == 4
    middles = [int(sheet[(top + bottom) // 2, (left + right) // 2, 0]) for left, top, right, bottom in boxes]
    assert middles == [100, *(round(60 + 0.4 * round(255 * n / 7)) for n in range(1, 8))]


def test_hundreds_of_layers_make_a_sheet_and_not_a_ribbon():
    height, width = contact_sheet(GREY_PHOTO, heats(400)).shape[:2]
    assert 0.5 < height / width < 2


@pytest.mark.parametrize("size", [(40, 30), (900, 300), (3, 2000), (1, 1)])
def test_a_photo_of_any_shape_fills_its_place(size):
    sheet = contact_sheet(np.full((*size, 3), 90, np.uint8), heats(2))
    boxes = tile_boxes(sheet)
    assert len(boxes) == 3
    for left, top, right, bottom in boxes:
        assert max(right - left, bottom - top) == 320


def test_a_long_name_is_shortened_in_the_middle_and_stays_under_its_picture():
    names = ["vgg16/" + "feature_extractor/" * 5 + f"block{number}_conv3" for number in (4, 5)]
    sheet = contact_sheet(GREY_PHOTO, {name: noisy_heat() for name in names})
    boxes = tile_boxes(sheet)
    labels = [sheet[bottom + 2 : bottom + 28, left:right] for left, _, right, bottom in boxes]
    assert (sheet[: boxes[0][3] + 30, boxes[0][2] : boxes[1][0]] == 255).all()  # nothing between two columns
    assert (labels[1] != labels[2]).any()  # the end, which tells them apart, is kept
    assert (labels[1][:, :40] == labels[2][:, :40]).all()
    assert (labels[1][:, -25:] < 100).any()  # uses the room there is


def test_a_title_stands_above_the_pictures():
    plain, titled = (
        contact_sheet(GREY_PHOTO, heats(2)),
        contact_sheet(GREY_PHOTO, heats(2), title="cab, 99.5 %"),
    )
    room = titled.shape[0] - plain.shape[0]
    assert room > 20
    np.testing.assert_array_equal(titled[room + 16 :], plain[16:])
    assert (titled[: room + 16] < 100).any()
    assert contact_sheet(GREY_PHOTO, heats(2), title="x" * 500).shape == titled.shape


def test_the_sheet_is_white_and_can_be_saved(tmp_path):
    sheet = contact_sheet(noisy_photo(), heats(2))
    assert sheet.dtype == np.uint8
    for edge in (sheet[:10], sheet[-5:], sheet[:, :10], sheet[:, -10:]):
        assert (edge == 255).all()
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "sheet.png")), sheet)


def test_a_sheet_without_layers_is_the_photo():
    assert len(tile_boxes(contact_sheet(GREY_PHOTO, {}))) == 1
