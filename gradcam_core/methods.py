"""The methods: each a pure function of (activation, gradient) to one map, computed inside the traced graph.

    activation  float (n, h, w, c): what the layer put out
    gradient    float (n, h, w, c): derivative of the score by it
    result      float32 (n, h, w): evidence, signed; `explain` keeps it as `raw` and shows its positive part

A new method is one function here and one line in ``METHODS``.
"""

from collections.abc import Callable

import tensorflow as tf

Method = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def grad_cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""Grad-CAM: channels weighted by their mean gradient.

    :math:`\alpha_k = \frac{1}{hw} \sum_{ij} \partial y / \partial A^k_{ij}` and
    :math:`M_{ij} = \sum_k \alpha_k A^k_{ij}`; the ReLU of equation 2 is applied by `explain`.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017, equations 1 and 2.
    """
    weight = tf.reduce_mean(gradient, axis=(1, 2))  # (n, c)
    return tf.einsum("nhwc,nc->nhw", activation, weight)


METHODS: dict[str, Method] = {"gradcam": grad_cam}
