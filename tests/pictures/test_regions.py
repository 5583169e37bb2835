"""From heat to region: masks and boxes against a slow reference, and what is drawn of them."""

import numpy as np
import pytest
from noisy import noisy_photo

import gradcam_core as gc
from gradcam_core import HeatMap, Layer
from gradcam_core.pictures import regions
from gradcam_core.pictures.coco import Regions, annotations_of

LAYER = Layer("conv", "conv", (2, 3, 5), 60, 2, (4.0, 8.0), True)
SIZE = (29, 47)  # of a photo whose sides are no multiple of any map's


def enlarged(heat, height, width):
    """Bilinear with half-pixel centres, pixel by pixel."""
    rows, columns = heat.shape
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            down = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
            right = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(down), int(right)
            below, beside = min(top + 1, rows - 1), min(left + 1, columns - 1)
            upper = heat[top, left] * (1 - right % 1) + heat[top, beside] * (right % 1)
            lower = heat[below, left] * (1 - right % 1) + heat[below, beside] * (right % 1)
            result[y, x] = upper * (1 - down % 1) + lower * (down % 1)
    return result


def filled(mask):
    """The pixels of each region, found by walking from one to its eight neighbours."""
    left, found = {tuple(at) for at in np.argwhere(mask).tolist()}, []
    while left:
        region, new = set(), {left.pop()}
        while new:
            region |= new
            new = {(y + i, x + j) for y, x in new for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= new
        found.append(region)
    return found


@pytest.fixture(params=range(3))
def heat(request):
    """Some with one hot place, some with many; none of them square."""
    rng = np.random.default_rng(request.param)
    heat = rng.random([(3, 5), (9, 7), (12, 20)][request.param]) ** 2
    return (heat / heat.max()).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.15, 0.5, 0.8])
def test_masks_and_boxes_are_those_of_the_slow_way(heat, threshold):
    expected = enlarged(heat, *SIZE)
    mask = regions.mask_of(heat, threshold, SIZE)
    assert (mask.dtype, mask.shape) == (bool, SIZE)
    is_sure = np.abs(expected - threshold) > 1e-5
    np.testing.assert_array_equal(mask[is_sure], expected[is_sure] >= threshold)
    boxes = regions.boxes_of(heat, threshold, SIZE)
    slow = []
    for region in filled(mask):
        rows, columns = zip(*region, strict=True)
        peak = max(expected[at] for at in region)
        slow.append((min(columns), min(rows), max(columns) + 1, max(rows) + 1, len(region) / mask.size, peak))
    slow.sort(key=lambda one: (-one[4], one[1], one[0]))
    np.testing.assert_allclose([tuple(vars(box).values()) for box in boxes], slow, atol=1e-5)
    assert len(boxes) > (heat.shape == (12, 20))


def test_the_edge_runs_between_cells_and_not_along_them():
    heat = np.float32([[0, 1, 0]])
    assert regions.boxes_of(heat, 0.5, (10, 60))[0] == regions.Box(20, 0, 40, 10, 1 / 3, pytest.approx(0.975))
    wide, narrow = (regions.boxes_of(heat, threshold, (10, 60))[0] for threshold in (0.25, 0.75))
    assert (wide.x0, wide.x1, narrow.x0, narrow.x1) == (15, 45, 25, 35)


def test_regions_that_touch_at_a_corner_are_one():
    assert len(regions.boxes_of(np.eye(2), 1.0, (2, 2))) == 1
    assert len(regions.boxes_of(np.float32([[1, 0, 1]]), 1.0, (1, 3))) == 2


def test_a_map_knows_the_size_of_its_photo_or_is_told_it():
    raw = np.float32([[-3, 0, 0, 8], [0, 0, 0, 6]])
    knows, alone = HeatMap(LAYER, raw, (20, 60)), HeatMap(LAYER, raw)
    assert knows.mask(0.5).shape == (20, 60)
    np.testing.assert_array_equal(knows.mask(0.5), alone.mask(0.5, (20, 60)))
    assert knows.boxes(0.5) == alone.boxes(0.5, (20, 60)) == alone.boxes(0.5, [20, 60])
    assert knows.boxes(0.5, (2, 4)) == (regions.Box(3, 0, 4, 2, 0.25, 1.0),)
    with pytest.raises(gc.SettingError, match="does not know its photo"):
        alone.boxes(0.5)


def test_an_empty_map_has_an_empty_mask_and_no_boxes():
    empty = HeatMap(LAYER, -np.ones((2, 3), np.float32), (7, 11))
    assert not empty.mask(0.01).any()
    assert empty.boxes(0.01) == ()


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan"), True, "0.5", None])
def test_what_is_no_share_of_the_peak_is_refused(threshold):
    with pytest.raises(gc.SettingError, match="above 0 and up to 1"):
        regions.boxes_of(np.eye(3), threshold, (9, 9))


@pytest.mark.parametrize("size", [7, (7,), (7, 8, 9), (7.5, 8), (True, 8), "ab", (0, 8), (8, -1)])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(gc.SettingError, match=r"\(height, width\)|cannot be resized"):
        regions.mask_of(np.eye(3), 0.5, size)


def decoded(segmentation):
    """COCO's uncompressed run lengths: column by column, outside first."""
    height, width = segmentation["size"]
    values = np.arange(len(segmentation["counts"])) % 2
    return np.repeat(values, segmentation["counts"]).reshape(width, height).T.astype(bool)


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.8])
def test_coco_has_every_region_pixel_by_pixel(heat, threshold):
    heats = {"first": heat, "second": heat[::-1, ::-1].copy(), "empty": np.zeros_like(heat)}
    found = annotations_of(Regions(heats, threshold, (7, "lion"), "a.jpg"), SIZE)
    assert found["images"] == [{"id": 1, "file_name": "a.jpg", "width": 47, "height": 29}]
    assert found["categories"] == [{"id": 7, "name": "lion"}]
    assert [one["id"] for one in found["annotations"]] == list(range(1, len(found["annotations"]) + 1))
    for layer, heat_of_layer in heats.items():
        mask = regions.mask_of(heat_of_layer, threshold, SIZE)
        of_layer = [one for one in found["annotations"] if one["layer"] == layer]
        together = np.zeros(SIZE, int)
        for one in of_layer:
            inside = decoded(one["segmentation"])
            rows, columns = np.nonzero(inside)
            assert one["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert one["area"] == inside.sum() == pytest.approx(one["share"] * inside.size)
            assert (one["image_id"], one["category_id"], one["iscrowd"]) == (1, 7, 0)
            together += inside
        np.testing.assert_array_equal(together, mask)


def test_the_picture_shows_the_photo_within_and_its_shade_outside():
    photo = noisy_photo(120, 240)
    heat = np.float32([[0, 0, 0, 1], [0, 0, 0, 1]])
    mask, boxes = regions.mask_of(heat, 0.5, (120, 240)), regions.boxes_of(heat, 0.5, (120, 240))
    drawn = regions.outlined(photo, mask, boxes)
    assert (boxes[0].x0, boxes[0].x1) == (180, 240)
    np.testing.assert_array_equal(drawn[40:110, 186:234], photo[40:110, 186:234])
    np.testing.assert_allclose(drawn[:, :170], 0.45 * photo[:, :170], atol=1)
    assert (drawn[60, 180] == 255).all()  # the box
    assert (drawn[4:30, 184:236] != photo[4:30, 184:236]).any()  # its share of the photo
    np.testing.assert_array_equal(photo, noisy_photo(120, 240))
    low = np.zeros((120, 240), bool)
    low[50:54] = True
    drawn = regions.outlined(photo, low, (regions.Box(0, 50, 240, 54, 1 / 30, 1.0),))
    np.testing.assert_allclose(drawn[57:], 0.45 * photo[57:], atol=1)  # its share of the photo has no room in it
    with pytest.raises(gc.SettingError, match="Ask for one of its size"):
        regions.outlined(photo, mask[:50], boxes)
    with pytest.raises(gc.SettingError, match="this one is of type uint8"):
        regions.outlined(photo, mask.astype(np.uint8), boxes)
    with pytest.raises(gc.PhotoError):
        regions.outlined(photo[..., 0], mask, boxes)
