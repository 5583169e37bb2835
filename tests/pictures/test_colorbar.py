"""The bar that says what the colours stand for."""

import numpy as np
import pytest
from noisy import noisy_photo

from gradcam_core.pictures.colorbar import colorbar, with_colorbar
from gradcam_core.pictures.render import lookup_table
from gradcam_core.pictures.sheet import contact_sheet


@pytest.mark.parametrize("colormap", ["grey", "viridis", "jet"])
def test_it_runs_from_no_evidence_to_the_most(colormap):
    bar = colorbar(colormap, 400)
    assert bar.shape == (40, 400, 3)
    table = lookup_table(colormap).astype(int)
    row = bar[14, 16:260].astype(int)
    np.testing.assert_array_equal(row[0], table[0])
    place = np.abs(row[:, np.newaxis] - table).sum(2).argmin(1)
    assert (np.diff(place) >= 0).all()
    assert place[-1] > 240


def test_its_numbers_are_shares_or_evidence():
    shares, evidence, much = colorbar("jet", 400), colorbar("jet", 400, 7.5), colorbar("jet", 400, 3e-7)
    assert (shares[:20] != evidence[:20]).any()  # the words beside it
    assert (evidence[:20, :250] == much[:20, :250]).all()
    assert (evidence[24:] != much[24:]).any()
    np.testing.assert_array_equal(colorbar("jet", 400, 0.0)[:20], evidence[:20])  # no evidence anywhere


def test_a_sheet_says_what_its_colours_stand_for():
    photo, heats = noisy_photo(), {"a": np.eye(3), "b": np.ones((2, 5))}
    each, shared = contact_sheet(photo, heats), contact_sheet(photo, heats, highest=12.0)
    assert each.shape == shared.shape
    np.testing.assert_array_equal(each[:-60], shared[:-60])
    assert (each[-60:] != shared[-60:]).any()
    assert len(contact_sheet(photo, {})) == len(each) - 40  # nothing is coloured there


@pytest.mark.parametrize("size", [(60, 300), (700, 90), (2000, 3000)])
def test_under_a_picture_of_any_shape_it_can_be_read(size):
    photo = noisy_photo(*size)
    both = with_colorbar(photo, "magma", 2.0)
    scale = max(1, max(size) / 1000)
    assert both.shape == (size[0] + 40 * scale, max(size[1], 220 * scale), 3)
    np.testing.assert_array_equal(both[: size[0], : size[1]], photo)
    assert (both[: size[0], size[1] :] == 255).all()
    assert (both[size[0] :] != 255).any()
