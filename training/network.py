"""The built-in network: a small residual VGG, its layers named as the VGG article names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

Tensor = Any  # of whichever backend

WIDTHS = (32, 64, 96, 192, 256)
POOLED = 3  # blocks 1 to 3 end in a pool, so that 64 pixels leave an 8x8 map


@keras.saving.register_keras_serializable("training")
class BatchNormalization(layers.BatchNormalization):
    """Keras' batch normalisation, in TensorFlow's one fused operation while it trains (a third faster on a CPU)."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        if not training or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, self.gamma, self.beta, epsilon=self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + keras.ops.stop_gradient(batch) * (1 - self.momentum))
        return outputs


def build(classes: int, widths: Sequence[int] = WIDTHS, normalization: type = BatchNormalization) -> keras.Model:
    """The network: RGB (n, h, w, 3) from 0 to 255 of any size in, logits (n, classes) out.

    Block 1 has one convolution, the others two, with a skip around the second. Everything up to the global average
    pool is convolutional, and the head is linear: there Grad-CAM and CAM are the same map (Selvaraju et al. 2017,
    section 3.1). ``normalization`` is the layer that stands after each convolution.
    """

    def conv(inputs: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
        kernel = layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)
        return normalization(momentum=0.9, name=f"{name}_bn")(kernel(inputs))

    inputs = keras.Input((None, None, 3), name="photo")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(inputs)
    for block, width in enumerate(widths, start=1):
        x = layers.ReLU(name=f"block{block}_conv1_relu")(conv(x, width, f"block{block}_conv1"))
        if block > 1:
            x = layers.Add(name=f"block{block}_conv2_add")([x, conv(x, width, f"block{block}_conv2")])
            x = layers.ReLU(name=f"block{block}_conv2_relu")(x)
        if block <= POOLED:
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(classes, name="predictions")(x), name="bundled")
