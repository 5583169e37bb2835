"""Maps that know nothing of a network: what every heat map must beat."""

import numpy as np

from ..pictures.render import resize_heat


def random_map(shape: tuple[int, int], seed: int, cells: int = 14) -> np.ndarray:
    """A map that knows nothing: what every map must beat.

    It is made of smooth patches as large as a deep layer's: lone random pixels would be noise that no photo
    has, and hiding them would hurt a network more than any map does.

    Args:
        shape: (h, w) of the map.
        seed: of the random numbers.
        cells: how many random values there are on each side, before they are interpolated.

    Returns:
        float32 (h, w) in [0, 1].

    >>> random_map((72, 72), seed=0).shape
    (72, 72)
    """
    values = np.random.default_rng(seed).random((cells, cells), np.float32)
    return resize_heat(values, width=shape[1], height=shape[0])


def centre_blob(shape: tuple[int, int]) -> np.ndarray:
    """A Gaussian in the centre; its standard deviation is a quarter of each side.

    Args:
        shape: (h, w) of the map.

    Returns:
        float32 (h, w) in (0, 1].

    >>> int(centre_blob((5, 5))[2].argmax())
    2
    """
    rows, columns = (np.exp(-(((np.arange(n) - (n - 1) / 2) / (n / 4)) ** 2) / 2) for n in shape)
    return np.outer(rows, columns).astype(np.float32)
