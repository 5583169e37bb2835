"""What goes with a label: how far numbers of one class lie above those of others."""

import numpy as np
import pytest
from scipy import stats

from gradcam_core.audits.traits import difference


def test_delta_counts_pairs_and_the_p_value_is_that_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    some, others = rng.integers(0, 9, 23).astype(float), rng.integers(2, 12, 40).astype(float)  # with ties
    pairs = np.sign(some[:, np.newaxis] - others)
    found = difference(some, others)
    assert found.delta == pytest.approx(pairs.mean())
    expected = stats.mannwhitneyu(some, others, method="asymptotic", use_continuity=False)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_what_is_no_number_does_not_count_and_too_few_say_nothing():
    some = np.array([np.nan, *range(10)])
    assert difference(some, np.arange(10.0)).delta == 0
    assert difference(np.arange(7.0), np.arange(50.0)) is None
    assert difference(np.ones(9), np.ones(9)) == (0, 1)
