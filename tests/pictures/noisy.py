"""Photos and heat maps of noise, for the tests of pictures."""

import numpy as np


def noisy_photo(height=61, width=83, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def noisy_heat(height=7, width=7, seed=1):
    return np.random.default_rng(seed).random((height, width), np.float32)
