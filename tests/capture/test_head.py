"""The logits behind a network's output, in every way in which people write probabilities."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_core.capture import head

LOGITS = [np.random.default_rng(seed).normal(0, 3, (2, 4)).astype(np.float32) for seed in range(3)]


def read(write, logits=LOGITS):
    """What `write` makes of some logits: the output, the activation, the logits z, and the gradient of z_0."""
    found = []

    @tf.function(input_signature=[tf.TensorSpec((None, z.shape[1]), tf.float32) for z in logits], autograph=False)
    def traced(*inputs):
        inputs = [tf.identity(z) for z in inputs]
        output = write(*inputs)
        found[:] = [head.read(output)]
        gradient = tf.gradients(found[0].logits[:, 0], inputs[0])[0]
        return tf.reshape(output, (tf.shape(inputs[0])[0], -1)), found[0].logits, gradient

    output, z, gradient = (x.numpy() for x in traced(*map(tf.constant, logits)))
    return np.exp(output) if found[0].is_log else output, found[0].activation, z, gradient


def softmax(z, axis=-1):
    power = np.exp(z - z.max(axis, keepdims=True))
    return power / power.sum(axis, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def own_softmax(z, _b, _c):
    power = tf.exp(z - tf.reduce_max(z, -1, keepdims=True))
    return power / tf.reduce_sum(power, -1, keepdims=True)


@pytest.mark.parametrize(
    ("activation", "write"),
    [
        ("softmax", lambda z, *_: tf.nn.softmax(z)),
        ("softmax", lambda z, *_: keras.activations.softmax(z)),
        ("softmax", lambda z, *_: keras.layers.Softmax()(z)),
        ("softmax", lambda z, *_: keras.ops.clip(tf.nn.softmax(z), 1e-7, 1 - 1e-7)),
        ("softmax", lambda z, *_: tf.nn.log_softmax(z)),
        ("softmax", lambda z, *_: tf.math.log(tf.nn.softmax(z) + 1e-7)),
        ("softmax", lambda z, *_: tf.exp(tf.nn.log_softmax(z))),
        ("softmax", lambda z, *_: tf.nn.softmax(tf.reshape(z, (-1, 1, 1, 4)))),
        ("softmax", lambda z, *_: tf.squeeze(tf.nn.softmax(tf.reshape(z, (-1, 4, 1)), axis=1), 2)),
        ("softmax", own_softmax),
        ("softmax", lambda z, *_: tf.exp(z) / tf.reduce_sum(tf.exp(z), -1, keepdims=True)),
        ("sigmoid", lambda z, *_: tf.sigmoid(z)),
        ("sigmoid", lambda z, *_: tf.clip_by_value(tf.sigmoid(z), 1e-7, 1 - 1e-7)),
        ("sigmoid", lambda z, *_: tf.math.log_sigmoid(z)),
        ("sigmoid", lambda z, *_: 1 / (1 + tf.exp(-z))),
        ("sigmoid", lambda z, *_: tf.concat([tf.sigmoid(z[:, :1]), tf.sigmoid(z[:, 1:])], -1)),
        ("linear", lambda z, *_: z),
        ("linear", lambda z, *_: tf.reshape(z, (-1, 1, 4))),
    ],
)
def test_the_logits_are_found_however_the_activation_is_written(activation, write):
    output, found, z, gradient = read(write)
    assert found == activation
    np.testing.assert_allclose(z, LOGITS[0], atol=1e-6)
    np.testing.assert_allclose(gradient, np.eye(4, dtype=np.float32)[[0, 0]], atol=1e-6)
    expected = {"softmax": softmax, "sigmoid": sigmoid, "linear": lambda z: z}[activation](LOGITS[0])
    np.testing.assert_allclose(output, expected, atol=1e-6)


@pytest.mark.parametrize(
    "write",
    [
        lambda *z: keras.layers.Average()([tf.nn.softmax(x) for x in z]),
        lambda *z: tf.add_n([tf.nn.softmax(x) for x in z]) / 3,
        lambda *z: tf.reduce_mean(tf.stack([tf.nn.softmax(x) for x in z]), 0),
        lambda *z: tf.reduce_mean(tf.nn.softmax(tf.stack(z, 1)), 1),
        lambda *z: tf.reduce_mean(tf.nn.softmax(tf.reshape(tf.stack(z, 1), (-1, 3, 1, 4))), (1, 2)),
        lambda *z: tf.reduce_mean(tf.concat([tf.nn.softmax(x)[:, None] for x in z], 1), 1, keepdims=True),
    ],
)
def test_a_mean_of_softmaxes_is_the_softmax_of_logits(write):
    output, activation, z, gradient = read(write)
    shares = np.array([softmax(x) for x in LOGITS])
    np.testing.assert_allclose(output, shares.mean(0), atol=1e-6)
    assert activation == "softmax"
    np.testing.assert_allclose(softmax(z), shares.mean(0), atol=1e-6)
    # d z_0 / d z^1_j = r (1[j = 0] - p^1_j) + p^1_j / 3, where r is the share of the first in the mean.
    ratio = (shares[0, :, :1] / shares[:, :, :1].sum(0)) * (np.eye(4)[0] - shares[0]) + shares[0] / 3
    np.testing.assert_allclose(gradient, ratio, atol=1e-6)


def test_an_ensemble_that_is_sure_has_the_mean_of_the_logits_gradients():
    sure = [np.float32([[80, 0, -5, 3]]), np.float32([[60, 1, 2, 0]])]
    output, _, z, gradient = read(lambda a, b: 0.75 * tf.nn.softmax(a) + 0.25 * tf.nn.softmax(b), sure)
    np.testing.assert_allclose(output, [[1, 0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(gradient, [[0.75, 0, 0, 0]], atol=1e-6)  # that of the softmax itself is 0
    np.testing.assert_allclose(softmax(z), output, atol=1e-6)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda *z: keras.layers.Average()([tf.sigmoid(x) for x in z]), lambda *z: np.mean([sigmoid(x) for x in z], 0)),
        (lambda a, b, _: (tf.sigmoid(a) + tf.nn.softmax(b)) / 2, lambda a, b, _: (sigmoid(a) + softmax(b)) / 2),
        (lambda a, *_: 1 - tf.sigmoid(a), lambda a, *_: 1 - sigmoid(a)),
        (lambda a, *_: tf.nn.softmax(a)[:, 1:], lambda a, *_: softmax(a)[:, 1:]),
        (lambda a, *_: tf.gather(tf.nn.softmax(a), [2, 0], axis=-1), lambda a, *_: softmax(a)[:, [2, 0]]),
        (
            lambda a, b, _: tf.concat([tf.nn.softmax(a), tf.nn.softmax(b)], -1),
            lambda a, b, _: np.concatenate([softmax(a), softmax(b)], -1),
        ),
    ],
)
def test_probabilities_that_are_no_one_softmax_are_sigmoids_of_logits(write, expected):
    output, activation, z, gradient = read(write)
    assert activation == "sigmoid"
    np.testing.assert_allclose(output, expected(*LOGITS), atol=1e-6)
    np.testing.assert_allclose(sigmoid(z), expected(*LOGITS), atol=1e-6)
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize(
    ("is_bounded", "write"),
    [
        (False, lambda z, *_: tf.nn.relu(z)),
        (False, lambda z, *_: tf.matmul(z, tf.eye(4)) / 3 + 1),
        (True, lambda z, *_: 0.5 * (1 + tf.tanh(z))),
        (True, lambda z, *_: keras.activations.hard_sigmoid(z)),
    ],
)
def test_an_output_without_known_logits_says_whether_it_has_bounds(is_bounded, write):
    found = []
    tf.function(lambda z: found.append(head.read(write(tf.matmul(z, tf.eye(4)))))).get_concrete_function(
        tf.TensorSpec((None, 4), tf.float32)
    )
    assert [(one.activation, one.is_bounded) for one in found] == [("linear", is_bounded)]
