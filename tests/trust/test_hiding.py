"""The hottest share hidden, and the rest hidden."""

import numpy as np
import pytest
from region import REGION, lamp, lit, of_region, region_network
from tiny_networks import SIDE, noise

from gradcam_core import SettingError
from gradcam_core.trust import (
    average_drop,
    hide_hottest,
    increase_in_confidence,
    keep_hottest,
)


def test_hiding_the_hottest_share_gives_the_photo_and_what_the_network_says():
    hidden = hide_hottest(region_network(), lamp(), "lit", of_region(), 24 / 144)
    np.testing.assert_array_equal(hidden.photo[REGION], np.tile(np.uint8([42, 0, 0]), (4, 6, 1)))
    assert not hidden.photo[0].any()
    assert hidden.photo.dtype == np.uint8
    assert hidden.share == pytest.approx(24 / 144)
    assert hidden.target.name == "lit"
    assert hidden.target.probability == pytest.approx(lit(hidden.photo), abs=1e-6)
    assert [p.name for p in hidden.predictions] == ["dark", "lit"]


def test_the_whole_photo_hidden_is_its_mean_colour():
    hidden = hide_hottest(region_network(), noise(SIDE), "lit", of_region(), 1)
    assert (hidden.photo == hidden.photo[0, 0]).all()


def test_an_empty_map_hides_nothing():
    hidden = hide_hottest(region_network(), lamp(), "lit", np.zeros((4, 4)), 0.5)
    np.testing.assert_array_equal(hidden.photo, lamp())
    assert hidden.share == 0


def test_a_faint_map_hides_what_a_strong_one_does():
    strong, faint = (hide_hottest(region_network(), lamp(), "lit", of_region() * size, 0.1) for size in (1, 1e-30))
    assert faint.share == strong.share > 0
    np.testing.assert_array_equal(faint.photo, strong.photo)
    assert (faint.photo != lamp()).any()


@pytest.mark.parametrize("share", [-0.1, 1.1, "half", True, float("nan")])
def test_the_share_to_hide_is_checked(share):
    with pytest.raises(SettingError, match="from 0 to 1"):
        hide_hottest(region_network(), lamp(), "lit", of_region(), share)


def test_only_what_is_hot_is_kept_with_its_heat_as_light():
    whole, explained = keep_hottest(region_network(), lamp(), "lit", of_region() * 0.6)
    assert whole == pytest.approx(lit(lamp()), abs=1e-6)
    assert explained == pytest.approx(lit(lamp() * 0.6), abs=1e-6)
    assert keep_hottest(region_network(), lamp(), "lit", of_region()) == pytest.approx((whole, whole), abs=1e-6)


def test_the_drop_is_a_share_of_what_there_was_and_never_below_zero():
    assert average_drop(0.8, 0.6) == pytest.approx(25)
    assert average_drop(0.6, 0.8) == 0
    assert average_drop(0.0, 0.0) == 0
    assert average_drop(np.array([0.8, 0.6, 0.5]), np.array([0.6, 0.8, 0.0])) == pytest.approx(125 / 3)


def test_the_increase_counts_photos_that_gain():
    assert increase_in_confidence(0.6, 0.8) == 100
    assert increase_in_confidence(0.6, 0.6) == 0
    assert increase_in_confidence(np.array([0.8, 0.6, 0.5]), np.array([0.6, 0.8, 0.0])) == pytest.approx(100 / 3)
