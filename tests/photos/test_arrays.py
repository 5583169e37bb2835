"""Arrays of any shape and depth that can be a photo."""

import numpy as np
import pytest
from photo_files import BLACK, EIGHT, HALF_RED, RED, SIXTEEN, WHITE, assert_is_a_photo, few_colours

from gradcam_core.errors import PhotoError
from gradcam_core.photos import read_image


def test_an_array_of_uint8_is_taken_as_it_is():
    np.testing.assert_array_equal(read_image(few_colours()), few_colours())
    flipped = few_colours()[:, ::-1, ::-1]
    np.testing.assert_array_equal(read_image(flipped), flipped)
    assert_is_a_photo(read_image(flipped), 24, 32)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_a_grey_array_gives_three_equal_channels(shape):
    values = np.arange(6, dtype=np.uint8).reshape(shape)
    photo = read_image(values)
    assert_is_a_photo(photo, 2, 3)
    for channel in range(3):
        np.testing.assert_array_equal(photo[..., channel], values.reshape(2, 3))


def test_an_array_with_alpha_is_laid_over_white():
    array = np.array([[(*RED, 0), (*RED, 128), (*RED, 255)]], np.uint8)
    for source in (array, array.astype(np.uint16) * 257, array / 255):
        assert read_image(source).tolist() == [[[*WHITE], [*HALF_RED], [*RED]]]


@pytest.mark.parametrize("dtype", [np.uint16, ">u2"])
def test_an_array_of_uint16_is_scaled(dtype):
    assert read_image(np.array([SIXTEEN], dtype))[0, :, 2].tolist() == EIGHT


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_array_of_floats_from_0_to_1_is_scaled(dtype):
    levels = np.tile(np.arange(256), (300, 1))  # more than one band of rows
    np.testing.assert_array_equal(read_image((levels / 255).astype(dtype))[..., 0], levels)


def test_an_array_of_truth_values_is_black_and_white():
    assert read_image(np.array([[True, False]])).tolist() == [[[*WHITE], [*BLACK]]]


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.full((2, 2, 3), 255.0), "floats from 255 to 255, but floats must lie from 0 to 1"),
        (np.full((2, 2), -0.5), "floats from -0.5"),
        (np.array([[0.5, np.nan]]), r"not numbers \(NaN\)"),
        (np.array([[0.5, np.inf]]), "to inf"),
        (np.zeros((2, 2, 3), np.int64), "numbers of type int64. Give uint8"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.array([["a"]]), "numbers of type <U1"),
        (np.array([[None]]), "numbers of type object"),
        (np.full((2, 3), 0.1).view(np.matrix), r"A matrix is not a photo\. Give np\.asarray\(matrix\)"),
        (np.zeros(5, np.uint8), r"this one has \(5,\)"),
        (np.zeros((2, 2, 2), np.uint8), r"this one has \(2, 2, 2\)"),
        (np.zeros((3, 224, 224), np.uint8), r"this one has \(3, 224, 224\)"),
        (np.zeros((1, 8, 8, 3), np.uint8), r"Give one photo of the batch, batch\[0\]"),
        (np.zeros((0, 5, 3), np.uint8), r"The array has no pixels \(5 x 0\)"),
        (np.zeros((0, 0)), "no pixels"),
        (np.broadcast_to(np.uint8(0), (6400, 6400, 3)), "6400 x 6400 pixels"),
    ],
)
def test_an_array_that_cannot_be_a_photo_gets_its_sentence(array, sentence):
    with pytest.raises(PhotoError, match=sentence):
        read_image(array)
