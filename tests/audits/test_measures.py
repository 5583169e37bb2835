"""The numbers of photos and maps, against closed forms."""

import cv2
import numpy as np
import pytest

from gradcam_core.audits.measures import covered, of_map, of_photo


def slowly_covered(boxes, shape, fine=1000):
    """Of points in the middle of fine cells, how many lie in any box."""
    y, x = [(np.arange(side * fine) + 0.5) / (side * fine) for side in shape]
    inside = np.zeros((len(y), len(x)), bool)
    for x0, y0, x1, y1 in boxes:
        inside |= ((y0 <= y) & (y < y1))[:, None] & ((x0 <= x) & (x < x1))
    return inside.reshape(shape[0], fine, shape[1], fine).mean((1, 3))


def test_boxes_that_overlap_and_cut_cells_cover_them_by_area():
    boxes = [(0.1, 0.2, 0.55, 0.9), (0.4, 0.05, 0.7, 0.35), (0.4, 0.05, 0.5, 0.3)]
    np.testing.assert_allclose(covered(boxes, (3, 2)), slowly_covered(boxes, (3, 2)), atol=1e-3)


def test_a_box_beyond_the_photo_counts_within_it():
    np.testing.assert_allclose(covered([(-1, -0.5, 0.5, 2)], (1, 3)), [[1, 0.5, 0]])


def test_heat_inside_the_boxes_is_the_share_of_what_is_positive():
    raw = np.float32([[3, -9, 1], [0, 2, 2]])
    found = of_map(raw, [(0, 0, 0.5, 1)])
    assert found["peak"] == 3
    assert found["inside"] == pytest.approx((3 + 0.5 * 2) / 8)
    assert found["border"] == 1  # two rows: each cell lies at a border


def test_the_border_is_the_outermost_ring():
    raw = np.zeros((4, 5), np.float32)
    raw[1, 3], raw[0, 2], raw[2, 4], raw[3, 0] = 4, 1, 2, 1
    assert of_map(raw)["border"] == pytest.approx(0.5)


def test_the_spread_is_the_entropy_between_one_cell_and_all():
    raw = np.zeros((2, 4), np.float32)
    raw[1, :2] = 7
    assert of_map(raw)["spread"] == pytest.approx(1 / 3)  # log 2 / log 8
    assert of_map(np.full((2, 4), 1e-30, np.float32))["spread"] == pytest.approx(1)
    assert of_map(np.float32([[5]]))["spread"] == 0


def test_a_map_without_evidence_lies_nowhere():
    found = of_map(np.float32([[-1, 0], [-2, -3]]), [(0, 0, 1, 1)])
    assert found == {"peak": 0, "spread": None, "border": None, "inside": None}


def test_the_numbers_of_a_photo_are_those_of_its_colours():
    photo = np.zeros((20, 30, 3), np.uint8)
    photo[:, 10:] = (0, 200, 100)
    luma = (0.587 * 200 + 0.114 * 100) / 255
    found = of_photo(photo)
    assert found["brightness"] == pytest.approx(luma * 2 / 3, abs=1e-5)
    assert found["contrast"] == pytest.approx(luma * np.sqrt(2 / 9), abs=1e-5)
    assert found["saturation"] == pytest.approx(2 / 3, abs=1e-5)


def test_a_blurred_photo_is_less_sharp_at_any_size():
    y, x = np.mgrid[:900, :1200]
    sharp = np.uint8(127 + 100 * np.sign(np.sin(x / 19) * np.sin(y / 23)))[..., None].repeat(3, 2)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 6)
    assert of_photo(sharp)["sharpness"] > 10 * of_photo(blurred)["sharpness"]
    larger = cv2.resize(sharp, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    assert of_photo(larger)["sharpness"] == pytest.approx(of_photo(sharp)["sharpness"], rel=0.15)


@pytest.mark.parametrize("size", [(600, 1024), (1024, 600)])
def test_a_large_photo_has_the_numbers_of_itself_with_512_pixels_on_its_longer_side(size):
    photo = np.random.default_rng(4).integers(0, 256, (*size, 3), np.uint8)
    small = cv2.resize(photo, (size[1] // 2, size[0] // 2), interpolation=cv2.INTER_AREA)
    assert of_photo(photo) == of_photo(small)
