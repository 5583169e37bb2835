"""Tiny vision transformers, as people write them with Keras' layers, for the tests."""

import keras
import numpy as np
import tensorflow as tf
from tiny_networks import seeded

L, ops = keras.layers, keras.ops
SIZE, PATCH, WIDTH = (24, 40), 8, 6  # a grid of 3 x 5 tokens


class Patches(L.Layer):
    """Photos cut into patches, which become a row of tokens."""

    def call(self, images):
        n, height, width, channels = ops.shape(images)
        patches = ops.image.extract_patches(images, size=PATCH)
        return ops.reshape(patches, (n, (height // PATCH) * (width // PATCH), PATCH * PATCH * channels))


class PatchEncoder(L.Layer):
    """Each patch as a vector, to which one for its position is added."""

    def __init__(self, count, width, **kwargs):
        super().__init__(**kwargs)
        self.count = count
        self.projection = L.Dense(width)
        self.position = L.Embedding(count, width)

    def call(self, patches):
        return self.projection(patches) + self.position(ops.expand_dims(ops.arange(self.count), 0))


class WithTokens(L.Layer):
    """Tokens of no patch, in front of the others or behind them."""

    def __init__(self, count=1, is_last=False, **kwargs):
        super().__init__(**kwargs)
        self.count, self.is_last = count, is_last

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, self.count, shape[-1]))

    def call(self, x):
        own = ops.broadcast_to(self.tokens, (ops.shape(x)[0], self.count, x.shape[-1]))
        return ops.concatenate([x, own] if self.is_last else [own, x], axis=1)


def transformer(head="flatten", blocks=2, tokens=0, is_last=False, classes=3):
    """A ViT after the example of keras.io: blocks of an attention and two dense layers, each added to what came in.

    The head reads all tokens ("flatten", "mean"), or the class token alone ("token").
    """
    inputs = keras.Input((*SIZE, 3))
    x = Patches(name="patches")(L.Rescaling(1 / 255)(inputs))
    x = PatchEncoder(SIZE[0] // PATCH * SIZE[1] // PATCH, WIDTH, name="encoder")(x)
    if tokens:
        x = WithTokens(tokens, is_last, name="tokens")(x)
    for i in range(1, blocks + 1):
        y = L.LayerNormalization(name=f"norm{i}")(x)
        y = L.MultiHeadAttention(2, 3, name=f"attention{i}")(y, y)
        x = L.Add(name=f"seen{i}")([y, x])
        y = L.Dense(2 * WIDTH, activation="gelu", name=f"wide{i}")(L.LayerNormalization()(x))
        x = L.Add(name=f"block{i}")([L.Dense(WIDTH)(L.Dropout(0.1)(y)), x])
    if head == "token":
        x = x[:, -1] if is_last else x[:, 0]
    else:
        x = L.Flatten()(x) if head == "flatten" else L.GlobalAveragePooling1D()(x)
    return seeded(keras.Model(inputs, L.Dense(classes, name="head")(x)))


def tape(model, layer, batch, target):
    """The layer's output and the derivative of a class's logit by it, of one photo, by a GradientTape."""
    first = keras.Model(model.input, model.get_layer(layer).output)
    rest = keras.Model(first.output, model.output)
    with tf.GradientTape() as watched:
        activation = first(tf.constant(batch))
        watched.watch(activation)
        score = rest(activation)[0, target]
    gradient = watched.gradient(score, activation)
    return activation.numpy()[0], gradient.numpy()[0]


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
