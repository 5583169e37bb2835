"""The counter-test of a region, on a network whose every answer can be computed by hand."""

import math

import numpy as np
import pytest
from tiny_networks import cam_network, colour_network, noise

from gradcam_core.audits.counter_test import (
    DOUBLED,
    LEFT,
    Effects,
    effects,
    elsewhere,
    hottest,
    log_odds,
    over_photo,
    sign_test,
)

REGION = np.zeros((3, 4), bool)
REGION[2, 1:3] = True  # a sixth of the photo
AT_TOP = np.roll(REGION, -2, axis=0)[np.newaxis].repeat(2, 0)  # where the rest is hottest: black, over half of the blue


def photo(level: int = 0) -> np.ndarray:
    """uint8 (12, 12, 3): black, and so blue in the upper half."""
    pixels = np.zeros((12, 12, 3), np.uint8)
    pixels[:6, :, 2] = level
    return pixels


def marked(pixels: np.ndarray) -> np.ndarray:
    """The same with a red region at the bottom: rows 8 to 11, columns 3 to 8."""
    pixels = pixels.copy()
    pixels[8:, 3:9] = (255, 0, 0)
    return pixels


def test_hiding_and_pasting_do_what_can_be_computed_by_hand():
    # The log-odds of red are twice the mean of red minus that of blue, whose channels do not go below 0.
    found = effects(colour_network(), 0, REGION, [marked(photo())] * 3, [photo()] * 2, [photo(51), photo(102)], AT_TOP)
    hidden = round(255 / 6) / 255 / 6  # the mean colour of the photo, in the region
    np.testing.assert_allclose(found.group, [[2 / 6, 2 * hidden, 2 / 6 + 2 * hidden]] * 3, atol=1e-6)
    np.testing.assert_allclose(found.rest, 0, atol=1e-6)
    np.testing.assert_allclose(found.others[:, 0], [-0.2, -0.4], atol=1e-6)
    assert (found.others[:, 1] < found.others[:, 0]).all()  # of the mean colour, some blue comes into the region
    np.testing.assert_allclose(found.pasted[:, 0], [-0.2, -0.4], atol=1e-6)
    np.testing.assert_allclose(found.pasted[:, 1], [2 / 6 - 0.2, 2 / 6 - 0.4], atol=1e-6)
    np.testing.assert_allclose(found.pasted[:, 2], [-0.2, -0.4], atol=1e-6)
    np.testing.assert_allclose(found.pasted[:, 3], [-0.2 * 2 / 3, -0.4 * 2 / 3], atol=1e-6)
    assert found.taken_for.tolist() == [0, 1, 0, 0]
    assert found.left == pytest.approx(2 * hidden, abs=1e-6)
    assert found.surer == pytest.approx(2 / 6, abs=1e-6)
    assert found.deficit == pytest.approx(-2 * hidden, abs=1e-6)  # of the rest, which is black, it is as sure as not
    assert found.share == 1 / 6
    assert {name: round(float(np.median(of)), 3) for name, of in found.differences.items()} == {
        "hidden": round(2 / 6, 3),
        "group": round(2 / 6, 3),
        "pasted": round(2 / 6, 3),
        "usual": round(2 / 6 - 0.1, 3),
    }


def test_a_region_lies_over_the_pixels_of_its_cells():
    found = over_photo(REGION, (12, 20))
    assert found.shape == (12, 20, 1)
    assert np.argwhere(found[..., 0]).min(0).tolist() == [8, 5]
    assert np.argwhere(found[..., 0]).max(0).tolist() == [11, 14]
    assert found.sum() == 40


def test_the_hottest_place_is_where_the_region_would_hold_most_heat():
    maps = np.zeros((2, 3, 4), np.float32)
    maps[0, 0, 2:] = 1, 3
    maps[0, 2, 0] = -9
    maps[1, 1, 0] = 2
    assert [np.argwhere(place).tolist() for place in hottest(REGION, maps)] == [[[0, 2], [0, 3]], [[1, 0], [1, 1]]]


def test_places_drawn_at_random_share_little_with_the_region_and_have_its_shape():
    places = elsewhere(REGION, 60, np.random.default_rng(0))
    assert {int(place.sum()) for place in places} == {2}
    assert max((place & REGION).sum() for place in places) == 0
    assert len({place.tobytes() for place in places}) == 6  # the two other rows, three places in each
    wide = np.ones((3, 4), bool)
    wide[0] = False
    assert {int((place & wide).sum()) for place in elsewhere(wide, 3, np.random.default_rng(0))} == {
        4
    }  # the best there is


@pytest.mark.parametrize(
    ("activation", "classes"),
    [(None, 3), ("softmax", 3), ("sigmoid", 3), ("hard_sigmoid", 3), ("sigmoid", 1), ("hard_sigmoid", 1)],
)
def test_log_odds_are_those_of_the_probabilities(activation, classes):
    network = cam_network(activation, classes)
    photos = [noise(12, seed) for seed in range(40)]  # more than a batch
    odds, wins = log_odds(network, 1, photos)
    by_index = np.array(
        [{guess.index: guess.probability for guess in network.predict(one, 3)}[1] for one in photos], np.float64
    )
    np.testing.assert_allclose(odds, np.log(by_index / (1 - by_index)), atol=1e-4)
    assert wins.tolist() == [network.predict(one, 1)[0].index == 1 for one in photos]


def test_probabilities_without_logits_of_0_and_1_have_log_odds_too():
    for level, odds in ((-9, math.log(1e-6)), (9, -math.log(1e-6))):
        network = cam_network("hard_sigmoid")
        kernel, bias = network.model.get_layer("head").get_weights()
        network.model.get_layer("head").set_weights([kernel, bias + level])
        assert log_odds(network, 1, [noise(12)])[0].tolist() == pytest.approx([odds], abs=1e-4)


def made(
    hidden: float,
    group: float,
    pasted: float,
    usual: float,
    left: float = 0,
    surer: float = 0,
    deficit: float = 0,
    share: float = 1 / 9,
    count: int = 20,
) -> Effects:
    """Effects whose differences all have these values, of which so much is left of so much, and so much is missing."""
    column = np.zeros(count)
    rest = hidden - group
    return Effects(
        group=np.column_stack([column + surer, column + left, column + left + hidden]),
        rest=np.column_stack([column + left + deficit, column - rest, column]),
        others=np.zeros((count, 2)),
        pasted=np.column_stack([column, column + pasted, column, column + pasted - usual]),
        taken_for=np.zeros(4, int),
        share=share,
    )


@pytest.mark.parametrize("which", range(3))
def test_only_what_doubles_the_odds_in_every_way_is_borne_out(which):
    effect = [DOUBLED + 0.01] * 3
    assert made(*effect, usual=0.01).bears_out()
    effect[which] = DOUBLED - 0.01
    assert not made(*effect, usual=0.01).bears_out()


def test_what_does_no_more_than_the_usual_evidence_may_be_the_object():
    found = made(1, 1, 1, usual=-0.01, deficit=-5)
    assert found.may_be_the_object()
    assert not found.bears_out()


def test_what_may_do_no_more_by_chance_may_be_the_object_where_the_network_misses_it():
    for deficit, may_be in ((DOUBLED - 0.01, False), (DOUBLED + 0.01, True)):
        found = made(1, 1, 1, usual=0.01, deficit=deficit, count=20)
        found.pasted[:8, 3] += 1  # 12 of 20 above 0: p = 0.25
        assert found.may_be_the_object() is may_be
        assert found.bears_out() is not may_be


def test_what_does_more_than_the_usual_evidence_is_not_the_object_though_the_network_misses_it():
    assert made(1, 1, 1, usual=0.01, deficit=5).bears_out()


def test_a_large_region_must_double_the_odds_for_each_eighth_of_the_photo():
    assert made(*[2 * DOUBLED + 0.01] * 3, usual=1, share=1 / 4).bears_out()
    for which in range(3):
        effect = [2 * DOUBLED + 0.01] * 3
        effect[which] = 2 * DOUBLED - 0.01
        assert not made(*effect, usual=1, share=1 / 4).bears_out()


def test_what_leaves_the_group_twice_as_sure_as_the_rest_is_not_borne_out():
    assert made(1, 1, 1, 1, left=DOUBLED - 0.01).bears_out()
    assert not made(1, 1, 1, 1, left=DOUBLED + 0.01).bears_out()


def test_of_a_group_that_is_much_surer_more_may_be_left():
    assert made(1, 1, 1, 1, left=LEFT * 3 - 0.01, surer=3).bears_out()
    assert not made(1, 1, 1, 1, left=LEFT * 3 + 0.01, surer=3).bears_out()


def test_the_more_candidates_the_more_photos_are_needed():
    assert made(1, 1, 1, 1, count=8).bears_out(candidates=12)  # 2 ** -8 = 0.0039 < 0.05 / 12
    assert not made(1, 1, 1, 1, count=8).bears_out(candidates=13)
    assert not made(1, 1, 1, 1, count=4).bears_out()


def test_the_more_candidates_the_more_likely_is_the_object_by_chance():
    found = made(1, 1, 1, usual=0.01, deficit=1, count=20)
    found.pasted[:5, 3] += 1  # 15 of 20 above 0: p = 0.021
    assert found.bears_out(candidates=2)
    assert not found.bears_out(candidates=3)


def test_a_sign_test_counts_what_lies_above():
    values = np.array([1.0, 2, -1, 0, 3, 0.5])
    assert sign_test(values) == sum(math.comb(5, k) for k in (4, 5)) / 32
    assert sign_test(-values) == sum(math.comb(5, k) for k in (1, 2, 3, 4, 5)) / 32
    assert sign_test(np.zeros(4)) == 1
