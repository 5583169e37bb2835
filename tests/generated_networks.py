"""Networks put together at random, one for each seed, with what it takes to explain them by hand.

A network has a front that may crop, flip or turn the photo, a layer "red" that finds red, a body of blocks of any kind,
perhaps with attention over tokens, and a head of any kind. In it stand probes: layers that change nothing, and show a
`tf.GradientTape` what passes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from tiny_networks import seeded
from transformers import WithTokens

L, ops = keras.layers, keras.ops
CLASSES = 3


class Probe(L.Layer):
    """Hands on its input, as a tensor of its own, and shows it to a tape."""

    def build(self, shape):
        self.seen, self.tape = [], None

    def call(self, x):
        x = x * 1.0
        if self.tape is not None:
            self.tape.watch(x)
            self.seen.append(x)
        return x


class OwnConvolution(L.Layer):
    """Weights of its own, and no layer inside."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], shape[-1]), name="kernel")

    def call(self, x):
        return ops.gelu(ops.conv(x, self.kernel, padding="same"))


class OwnBlock(L.Layer):
    """Layers inside, and a sum that is none; compiled by itself."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.one, self.two = L.Conv2D(filters, 3, padding="same"), L.Conv2D(filters, 1)
        self.act = L.ELU()

    def build(self, shape):
        self.one.build(shape)
        self.two.build(shape)

    @tf.function
    def call(self, x):
        return self.act(self.one(x) + self.two(x))


class Wrapped(keras.Model):
    """A network with a call of its own around another one."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


@dataclass
class Generated:
    """A network and how to explain it by hand.

    Attributes:
        model: random weights; its input is (n, h, w, 3) in 0..255.
        probes: by name, with (rows, columns, tokens before the grid, or None for a tensor that is one) of what passes.
        logits: of a batch that has just passed, (n, outputs): from what the probe "logits" has seen.
        seen: (top, bottom, left, right) of the part of the photo that is not cropped away, in pixels.
    """

    model: keras.Model
    probes: dict[str, tuple[Probe, tuple[int, int, int | None]]] = field(default_factory=dict)
    logits: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    seen: tuple[int, int, int, int] = (0, 0, 0, 0)


def generated(seed: int) -> Generated:
    """The network of a seed; the same in every process."""
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(6, 10)) * 4, int(rng.integers(6, 12)) * 4
    made = Generated(None, seen=(0, height, 0, width))
    inputs = keras.Input((height, width, 3))
    x = _front(rng, L.Rescaling(1 / 255)(inputs), made)
    red = L.Conv2D(1, 1, activation="relu", name="red")
    x = L.Concatenate(name="with_red")([x, red(x)])
    for _ in range(rng.integers(2, 5)):
        x = _probed(made, rng.choice(BLOCKS)(rng, x))
    before = None
    if rng.random() < 0.4:
        x, before = _tokens(rng, x, made)
    outputs = _head(rng, x, before, made)
    model = keras.Model(inputs, outputs)
    seeded(model, seed)
    for variable in model.weights:
        if variable.path.split("/")[0] != "red" and len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[:-1])
            variable.assign(variable * (4 / np.sqrt(fan_in)))  # so that values keep their size through the layers
    red.set_weights([np.float32([3, -3, -3]).reshape(1, 1, 3, 1), np.zeros(1)])
    made.model = model
    if rng.random() < 0.25:
        made.model = Wrapped(model)
        made.model(np.zeros((1, height, width, 3), np.float32))
    elif rng.random() < 0.25:
        made.model = keras.Sequential([keras.Input((height, width, 3)), model])
    return made


def _probed(made: Generated, x, before=None, grid=None):
    probe = Probe(name=f"probe{len(made.probes)}")
    x = probe(x)
    made.probes[probe.name] = probe, (*(grid or x.shape[1:3]), before)
    return x


def _front(rng, x, made: Generated):
    _, height, width, _ = x.shape
    kind = rng.integers(0, 6)
    if kind == 1:
        top, bottom, left, right = map(int, rng.integers(0, 5, 4))
        made.seen = top, height - bottom, left, width - right
        x = L.Cropping2D(((top, bottom), (left, right)))(x)
    elif kind == 2:
        x = ops.flip(x, int(rng.integers(1, 3)))
    elif kind == 3:
        x = ops.transpose(x, (0, 2, 1, 3))
    elif kind == 4:
        x, made.seen = x[:, 4:, :-4][:, ::-1], (4, height, 0, width - 4)
    elif kind == 5:
        x = L.ZeroPadding2D(((3, 0), (1, 4)))(x)
    return x


def _activation(rng):
    return rng.choice(["relu", "gelu", "silu", "tanh", "elu", None])


def _convolution(rng, x):
    kind, filters = rng.integers(0, 4), int(rng.integers(3, 8))
    if kind == 0:
        return L.DepthwiseConv2D(3, padding="same", activation=_activation(rng))(x)
    if kind == 1:
        return L.SeparableConv2D(filters, 3, padding="valid", activation=_activation(rng))(x)
    stride = int(rng.integers(1, 3))
    return L.Conv2D(filters, 3, stride, padding="same", activation=_activation(rng))(x)


def _normalised(rng, x):
    norm = (L.BatchNormalization, L.LayerNormalization, lambda: L.GroupNormalization(1))[rng.integers(0, 3)]()
    x = norm(L.Conv2D(int(rng.integers(3, 8)), 3, padding="same", use_bias=False)(x))
    return (L.ReLU(), L.LeakyReLU(), L.Dropout(0.3), L.Activation("tanh"))[rng.integers(0, 4)](x)


def _branches(rng, x):
    one, two = (L.Conv2D(4, side, padding="same", activation=_activation(rng))(x) for side in (1, 3))
    kind = rng.integers(0, 4)
    if kind == 3:
        gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(one))
        return L.Multiply()([two, gate])
    x = (L.Add(), L.Concatenate(), L.Maximum())[kind]([one, two])
    return L.LeakyReLU(0.05)(x) if rng.random() < 0.5 else x


def _split(rng, x):
    x = L.Conv2D(6, 1)(x)
    one, two = ops.split(x, 2, axis=-1) if rng.random() < 0.5 else (x[..., :3], x[..., 3:])
    return L.Concatenate()([one, L.Conv2D(3, 3, padding="same", activation="relu")(two)])


def _pooled(rng, x):
    return (L.MaxPooling2D() if rng.random() < 0.5 else L.AveragePooling2D(2, padding="same"))(x)


def _enlarged(rng, x):
    return L.UpSampling2D(2)(x) if max(x.shape[1:3]) < 30 else L.Conv2D(4, 1)(x)


def _nested(rng, x):
    inside = keras.Input(x.shape[1:])
    y = L.Conv2D(4, 3, padding="same", activation="relu")(inside)
    return keras.Model(inside, L.Add()([y, L.Conv2D(4, 1)(inside)]))(x)


def _attention(rng, x):
    if x.shape[1] * x.shape[2] > 400:
        x = L.AveragePooling2D(2, padding="same")(x)
    shape = x.shape[1:]
    tokens = L.Reshape((-1, shape[-1]))(x)
    tokens = L.Add()([tokens, L.MultiHeadAttention(2, 3)(tokens, L.LayerNormalization()(tokens))])
    return L.Reshape(shape)(tokens)


BLOCKS = np.array([
    _convolution, _normalised, _branches, _split, _pooled, _enlarged, _nested, _attention,
    lambda rng, x: OwnConvolution()(x), lambda rng, x: OwnBlock(int(rng.integers(3, 6)))(x),
], dtype=object)  # fmt: skip


def _tokens(rng, x, made: Generated):
    """The grid as tokens, perhaps with others before or behind, and blocks of a transformer."""
    if x.shape[1] * x.shape[2] > 200:
        x = L.AveragePooling2D(2, padding="same")(x)
    grid = x.shape[1:3]
    x = L.Dense(6)(L.Reshape((-1, x.shape[-1]))(x))
    before, kind = 0, rng.integers(0, 3)
    if kind:
        x, before = WithTokens(2, is_last=kind == 2)(x), 2 * int(kind == 1)
    for _ in range(rng.integers(1, 3)):
        y = L.LayerNormalization()(x)
        x = L.Add()([x, L.MultiHeadAttention(2, 3)(y, y)])
        x = L.Add()([x, L.Dense(6)(L.Dense(9, activation="gelu")(x))])
        x = _probed(made, x, before, grid)
    if kind and rng.random() < 0.5:
        x = x[:, 0] if kind == 1 else x[:, -1]
    return x, before


def _head(rng, x, before, made: Generated):
    logits = Probe(name="logits")
    made.probes["logits"] = logits, (0, 0, None)
    if len(x.shape) == 4:
        if rng.random() < 0.25:
            x = L.GlobalAveragePooling2D()(L.Conv2D(CLASSES, 1)(x))
            return L.Softmax()(logits(x))
        x = (
            L.GlobalAveragePooling2D()(x)
            if rng.random() < 0.5
            else L.Flatten()(L.AveragePooling2D(2, padding="same")(x))
        )
    elif len(x.shape) == 3:
        x = L.GlobalAveragePooling1D()(x) if rng.random() < 0.5 else L.Flatten()(x)
    kind = rng.integers(0, 8)
    if kind == 0:  # as an argument of the last layer: what it has before that is worked out from its weights
        last = L.Dense(CLASSES, activation="softmax")
        made.logits = lambda x: x @ last.kernel + last.bias
        return last(logits(x))
    if kind == 1:
        return L.Activation("sigmoid")(logits(L.Dense(1)(x)))
    z = logits(L.Dense(CLASSES)(x))
    return {
        2: L.Softmax(), 3: lambda z: ops.softmax(z), 4: L.Activation("sigmoid"), 5: lambda z: z,
        6: lambda z: ops.log_softmax(z), 7: TensorFlowSoftmax(),
    }[kind](z)  # fmt: skip


class TensorFlowSoftmax(L.Layer):
    def call(self, z):
        return tf.nn.softmax(z)


def by_hand(made: Generated, batch: np.ndarray, target: int) -> dict[str, np.ndarray]:
    """Grad-CAM of each probe that has a grid, float32 (h, w), from one eager pass under a tape and NumPy."""
    with tf.GradientTape(persistent=True) as tape:
        for probe, _ in made.probes.values():
            probe.tape, probe.seen = tape, []
        made.model(tf.constant(batch), training=False)
        z = made.logits(made.probes["logits"][0].seen[0])
        if z.shape[-1] == 1:
            z = tf.concat([-z / 2, z / 2], -1)
        score = z[0, target]
    maps = {}
    for name, (probe, (rows, columns, before)) in made.probes.items():
        probe.tape = None
        if name == "logits":
            continue
        (activation,) = probe.seen
        gradient = tape.gradient(score, activation, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        a, g = activation.numpy()[0], gradient.numpy()[0]
        if before is not None:
            a, g = (t[before : before + rows * columns].reshape(rows, columns, -1) for t in (a, g))
        maps[name] = (a * g.mean((0, 1))).sum(-1)
    return maps
