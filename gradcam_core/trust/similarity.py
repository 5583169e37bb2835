"""How alike two maps are."""

import math

import cv2
import numpy as np


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape, in [-1, 1]; equal values share their mean rank.

    0 where one of them is the same everywhere.

    >>> rank_correlation(np.array([[1, 2], [3, 9]]), np.array([[0, 10], [20, 21]]))
    1.0
    """
    ranks = []
    for values in (a, b):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        mean_rank = np.cumsum(counts) - (counts - 1) / 2
        ranks.append((mean_rank - (values.size + 1) / 2)[place.ravel()])
    scale = math.sqrt(ranks[0] @ ranks[0] * (ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1] / scale) if scale else 0.0


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """The mean structural similarity of two heat maps of one shape, in [-1, 1]; 1 for the same map.

    Window: a Gaussian of 11 x 11 pixels with a standard deviation of 1.5, the border reflected; K1 = 0.01,
    K2 = 0.03, L = 1.

    Args:
        a, b: float (h, w) in [0, 1].

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 2004, equations 13 to 17.

    >>> ssim(np.eye(20), np.eye(20))
    1.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    mean_a, mean_b, square_a, square_b, product = (
        cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101) for x in (a, b, a * a, b * b, a * b)
    )
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float(np.mean(luminance * (2 * covariance + c2) / (variances + c2)))
