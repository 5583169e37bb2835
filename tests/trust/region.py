"""A network that looks at one region of the photo, so that what hiding does is known on paper."""

import keras
import numpy as np
from tiny_networks import SIDE

from gradcam_core.networks.classifier import Classifier

REGION = np.s_[2:6, 3:9]  # 24 of the 144 pixels


DARK = 0.2  # mean red of the region, of 1, where both classes are as likely


def region_network(preprocess=None) -> Classifier:
    """Class "lit" has the logit 5 * (mean red of the region - 0.2), class "dark" has 0."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(1, 1, name="red")(x)
    x = keras.layers.Conv2D(2, SIDE, name="region")(x)
    outputs = keras.layers.Softmax()(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    region = np.zeros((SIDE, SIDE, 1, 2))
    region[REGION] = 5 / 24, 0
    model.set_weights([np.float32([1, 0, 0]).reshape(1, 1, 3, 1), np.zeros(1), region, np.float32([-5 * DARK, 0])])
    return Classifier("region", model, ["lit", "dark"], preprocess=preprocess)


def lit(image: np.ndarray) -> float:
    """What `region_network` answers, in NumPy."""
    return 1 / (1 + np.exp(-5 * (image[REGION][..., 0].mean() / 255 - DARK)))


def lamp() -> np.ndarray:
    """A photo that is red in the region, and black."""
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    photo[REGION] = 255, 0, 0
    return photo


def of_region() -> np.ndarray:
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[REGION] = 1
    return heat


def halves(mask: np.ndarray) -> list[float]:
    """The share of the mask in the upper half, in the left half, and in the middle quarter."""
    h, w = mask.shape
    middle = mask[h // 4 : -h // 4, w // 4 : -w // 4]
    return [mask[: h // 2].sum() / mask.sum(), mask[:, : w // 2].sum() / mask.sum(), middle.sum() / mask.sum()]
