"""One map: what counts as evidence, and what is shown as the hottest."""

import numpy as np
import pytest

from gradcam_core import HeatMap, Layer

LAYER = Layer("conv", "conv", (2, 3, 5), 60, 2, (4.0, 8.0), True)
RAW = np.float32([[-2, 0, 1], [4, 0.5, -0.1]])


@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-30, 1e-6, 1, 1e30])
def test_evidence_of_any_size_is_no_empty_map(size):
    heat_map = HeatMap(LAYER, RAW / 4 * np.float32(size))
    assert not heat_map.is_empty
    assert heat_map.peak == heat_map.raw[1, 0] > 0
    assert heat_map.heat.dtype == np.float32
    assert heat_map.heat.max() == 1
    assert heat_map.heat[0, 0] == heat_map.heat[0, 1] == heat_map.heat[1, 2] == 0
    if size > 1e-38:  # below, float32 has no digits left
        np.testing.assert_allclose(heat_map.heat, [[0, 0, 0.25], [1, 0.125, 0]], rtol=1e-6)


@pytest.mark.parametrize("raw", [np.zeros((2, 3)), np.full((2, 3), -1), -np.abs(RAW)])
def test_no_evidence_is_an_empty_map_of_zeros(raw):
    heat_map = HeatMap(LAYER, raw.astype(np.float32))
    assert heat_map.is_empty
    assert heat_map.peak == 0
    for heat in (heat_map.heat, heat_map.scaled(), heat_map.scaled(0.0), heat_map.scaled(3.0)):
        np.testing.assert_array_equal(heat, np.zeros((2, 3), np.float32))


def test_what_is_shown_as_the_hottest_may_be_said():
    heat_map = HeatMap(LAYER, RAW)
    np.testing.assert_array_equal(heat_map.scaled(8.0), [[0, 0, 0.125], [0.5, 0.0625, 0]])
    np.testing.assert_array_equal(heat_map.scaled(4.0), heat_map.heat)
    np.testing.assert_array_equal(heat_map.scaled(None), heat_map.heat)
    assert heat_map.scaled(8.0).dtype == np.float32


def test_evidence_above_what_is_shown_as_the_hottest_is_as_hot_and_no_hotter():
    np.testing.assert_array_equal(HeatMap(LAYER, RAW).scaled(2.0), [[0, 0, 0.5], [1, 0.25, 0]])
    np.testing.assert_array_equal(HeatMap(LAYER, RAW).scaled(0.25), [[0, 0, 1], [1, 1, 0]])


def test_with_nothing_as_the_hottest_nothing_is_hot():
    np.testing.assert_array_equal(HeatMap(LAYER, RAW).scaled(0.0), np.zeros((2, 3)))


def test_a_map_says_what_it_is_of():
    about = HeatMap(LAYER, RAW).about()
    assert about == {
        "layer": "conv", "kind": "conv", "shape": (2, 3, 5), "stage": 2, "peak": 4.0, "is_empty": False,
    }  # fmt: skip
    assert HeatMap(LAYER, -RAW * 0).about()["is_empty"] is True
