"""MaxBoxAcc against the definition of its paper, written once more, slowly."""

import numpy as np
import pytest

import gradcam_core as gc
from gradcam_core.pictures.regions import boxes_of
from gradcam_core.trust import best_overlaps, max_box_accuracy, max_box_accuracy_v2, overlaps_of
from gradcam_core.trust.localisation import THRESHOLDS


def overlap(a, b):
    """Two boxes of whole numbers, cell by cell."""
    cells = [{(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])} for box in (a, b)]
    return len(cells[0] & cells[1]) / max(1, len(cells[0] | cells[1]))


def random_boxes(rng, count):
    corners = np.sort(rng.integers(0, 12, (count, 2, 2)), axis=1)  # some without an area
    return corners.reshape(count, 4)


def test_boxes_overlap_as_their_cells_do():
    rng = np.random.default_rng(0)
    boxes, others = random_boxes(rng, 20), random_boxes(rng, 30)
    expected = [[overlap(a, b) for b in others.tolist()] for a in boxes.tolist()]
    assert len(np.unique(expected)) > 20
    np.testing.assert_allclose(overlaps_of(boxes, others), expected)


@pytest.fixture(scope="module")
def photos():
    """Maps of several sizes, and one to three boxes for each."""
    rng = np.random.default_rng(1)
    found = []
    for count in (1, 3, 2, 1, 2, 3):
        heat = rng.random((rng.integers(3, 8), rng.integers(8, 12))) ** 2
        low = rng.random((count, 2)) * 0.5
        found.append((heat / heat.max(), np.hstack([low, low + 0.2 + 0.3 * rng.random((count, 2))])))
    return found


@pytest.mark.parametrize("least", [0.1, 0.3, 0.5])
def test_the_share_of_photos_whose_box_is_met_at_the_best_threshold(photos, least):
    thresholds = [0.1, 0.25, 0.5, 0.8]
    shares = {"largest": [], "any": []}
    for threshold in thresholds:
        met = {"largest": 0, "any": 0}
        for heat, true in photos:
            found = [[b.x0 / 224, b.y0 / 224, b.x1 / 224, b.y1 / 224] for b in boxes_of(heat, threshold, (224, 224))]
            met["largest"] += overlaps_of(np.array(found[:1]), true).max() >= least
            met["any"] += overlaps_of(np.array(found), true).max() >= least
        for which, count in met.items():
            shares[which].append(count / len(photos))
    each = [best_overlaps(heat, true, thresholds) for heat, true in photos]
    for which in ("largest", "any"):
        accuracy, threshold = max_box_accuracy(np.stack([getattr(one, which) for one in each]), least, thresholds)
        assert accuracy == pytest.approx(max(shares[which]))
        assert threshold == thresholds[shares[which].index(accuracy)]


def test_the_second_version_is_a_mean_over_three_overlaps():
    overlaps = np.array([[0.2, 0.35], [0.72, 0.4], [0.1, 0.55]])
    assert max_box_accuracy_v2(overlaps, [0.4, 0.6]) == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)


def test_a_map_that_is_its_box_meets_it():
    heat = np.zeros((14, 28), np.float32)
    heat[3:9, 4:20] = 1
    true = np.array([[4 / 28, 3 / 14, 20 / 28, 9 / 14], [0.9, 0.9, 1.0, 1.0]])
    found = best_overlaps(heat, true)
    assert len(found.largest) == len(THRESHOLDS) == 99
    assert found.largest[49] == pytest.approx(1, abs=0.02)
    assert (found.largest > 0.75).all()
    assert (found.largest == found.any).all()


def test_a_box_may_leave_the_photo_by_rounding():
    heat = np.float32([[0, 1]])
    (found,) = best_overlaps(heat, np.array([[0.5, -0.0005, 1.0005, 1.0]]), [0.5]).largest
    assert found == pytest.approx(1, abs=0.01)
    for box in ([0.5, -0.002, 1, 1], [0.5, 0, 1.002, 1]):
        with pytest.raises(gc.SettingError, match="Divide pixels by the photo's sides"):
            best_overlaps(heat, np.array([box]), [0.5])


def test_an_empty_map_meets_nothing():
    found = best_overlaps(np.zeros((3, 4)), np.array([[0.0, 0.0, 1.0, 1.0]]), [0.01, 0.5])
    assert not found.largest.any()
    assert not found.any.any()


@pytest.mark.parametrize(
    ("boxes", "sentence"),
    [
        (np.zeros((0, 4)), "no box to meet"),
        (np.zeros(4), r"shape \(n, 4\)"),
        (np.array([["a", "b", "c", "d"]]), "Boxes are numbers"),
        (np.array([[0.1, 0.1, np.nan, 0.5]]), "Boxes are numbers"),
        (np.array([[0.5, 0.5, 0.2, 0.9]]), "ends before it begins"),
        (np.array([[10, 20, 60, 50]]), r"shares .* not from 10 to 60\. Divide pixels"),
        (np.array([[-0.5, 0.2, 0.6, 0.5]]), "not from -0.5 to 0.6"),
    ],
)
def test_what_are_no_boxes_is_refused(boxes, sentence):
    with pytest.raises(gc.SettingError, match=sentence):
        best_overlaps(np.eye(3), boxes)


def test_without_a_threshold_there_is_nothing_to_measure():
    with pytest.raises(gc.SettingError, match="no threshold"):
        best_overlaps(np.eye(3), np.array([[0.0, 0.0, 1.0, 1.0]]), [])
    with pytest.raises(gc.SettingError, match="no threshold"):
        max_box_accuracy(np.zeros((4, 0)), thresholds=[])


@pytest.mark.parametrize("overlap", [np.nan, -0.1, 40, "0.5"])
def test_what_are_no_overlaps_is_refused(overlap):
    with pytest.raises(gc.SettingError, match="numbers from 0 to 1"):
        max_box_accuracy(np.array([[0.5, overlap]]), thresholds=[0.3, 0.4])


@pytest.mark.parametrize("overlaps", [np.zeros((0, 99)), np.zeros((4, 98)), np.zeros(99)])
def test_overlaps_of_another_shape_are_refused(overlaps):
    with pytest.raises(gc.SettingError, match="a row for each photo"):
        max_box_accuracy(overlaps)
