"""Maps that know nothing."""

import numpy as np
import pytest
from region import halves

from gradcam_core.trust import (
    centre_blob,
    random_map,
)
from gradcam_core.trust.sanity import rank_correlation


def test_random_maps_favour_no_side():
    for shape in ((72, 72), (60, 110)):
        hottest = np.mean([random_map(shape, seed) > 0.6 for seed in range(60)], axis=0)
        np.testing.assert_allclose(halves(hottest), [0.5, 0.5, 0.25], atol=0.02)


def test_a_random_map_is_the_same_for_its_seed_and_another_for_the_next():
    np.testing.assert_array_equal(random_map((30, 20), 4), random_map((30, 20), 4))
    assert abs(rank_correlation(random_map((140, 140), 4), random_map((140, 140), 5))) < 0.2
    assert random_map((30, 20), 4).dtype == np.float32


def test_a_random_map_has_patches_and_no_lone_pixels():
    values = random_map((224, 224), 0)
    assert 0 <= values.min() < 0.05 < 0.95 < values.max() <= 1
    assert np.abs(np.diff(values, axis=0)).max() <= 1 / 15


def test_the_centre_blob_is_a_gaussian_in_the_centre():
    blob = centre_blob((41, 81))
    assert np.unravel_index(blob.argmax(), blob.shape) == (20, 40)
    assert blob.max() == 1
    assert blob.dtype == np.float32
    assert blob[20 + 10, 40] == pytest.approx(np.exp(-((10 / 10.25) ** 2) / 2))
    np.testing.assert_allclose(blob, blob[::-1, ::-1])
