"""One forward call shows every tensor, in whatever way the network was written."""

import gc
import threading
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import deep_network, seeded

from gradcam_core.capture.recording import compiled, record

L = keras.layers


class Block(L.Layer):
    """Two layers and an addition of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = L.Conv2D(3, 3, padding="same")
        self.branches = [L.Conv2D(3, 1), L.Conv2D(3, 1, name="named")]
        self.act = L.ReLU()

    def build(self, shape):
        for layer in (self.conv, *self.branches):
            layer.build(shape)

    def call(self, x):
        return self.act(tf.add_n([branch(x) for branch in self.branches]) + self.conv(x))


class TwoMaps(L.Layer):
    def call(self, x):
        return {"coarse": x[:, ::2, ::2], "fine": x + 1}


class Own(keras.Model):
    """A model with a ``call`` of its own, which uses one layer twice."""

    def __init__(self):
        super().__init__()
        self.block = Block(name="block")
        self.maps = TwoMaps(name="maps")
        self.head = L.Dense(2, name="head")

    def call(self, x, training=None):
        x = self.block(self.block(x))
        x = self.maps(x)["coarse"]
        return self.head(keras.ops.mean(x, (1, 2)))


def own():
    model = Own()
    model(np.zeros((1, 8, 6, 3), np.float32))
    return seeded(model)


def paths(recording):
    return [call.path for call in recording.calls]


def test_a_subclassed_network_shows_what_is_inside_its_layers_by_path():
    block = ["block/branches_0", "block/named", "block/add", "block/conv", "block/add#2", "block"]
    second = ["block/branches_0#2", "block/named#2", "block/add#3", "block/conv#2", "block/add#4", "block#2"]
    assert paths(record(own(), (None, 8, 6, 3))) == [*block, *second, "maps", "maps:1", "head"]


def test_a_layer_whose_last_tensor_it_gives_itself_has_that_tensor_under_its_own_name():
    recording = record(own(), (None, 8, 6, 3))
    last = recording.calls[paths(recording).index("block")]
    assert type(last.operation) is Block
    assert last.output.op.type == "Relu"


def test_nested_models_are_paths_and_no_tensors_of_their_own():
    inner = deep_network().model
    inputs = keras.Input((16, 16, 3))
    outer = keras.Model(
        inputs, L.Softmax(name="soft")(inner(keras.Sequential([L.ReLU(name="cut")], name="front")(inputs)))
    )
    found = paths(record(outer, (None, 16, 16, 3)))
    assert found[0] == "front/cut"
    assert f"{inner.name}/conv1" in found
    assert inner.name not in found
    assert found[-1] == "soft"


def test_the_inside_of_an_attention_of_keras_is_its_own_business():
    inputs = keras.Input((4, 4, 3))
    tokens = L.Reshape((16, 3), name="tokens")(inputs)
    outputs = L.Flatten(name="flat")(L.MultiHeadAttention(1, 2, name="attention")(tokens, tokens))
    assert paths(record(keras.Model(inputs, outputs), (None, 4, 4, 3))) == ["tokens", "attention", "flat"]


def test_a_wrapped_layer_is_seen():
    inputs = keras.Input((4, 4, 3))
    outputs = L.SpectralNormalization(L.Conv2D(2, 1, name="inner"), name="wrapper")(inputs)
    assert paths(record(keras.Model(inputs, outputs), (None, 4, 4, 3))) == ["wrapper"]


def looped():
    """A layer that takes a convolution twice, in a loop and in a function of its own."""

    class Looped(L.Layer):
        def build(self, shape):
            self.conv = L.Conv2D(3, 1)
            self.conv.build(shape)

        @tf.function
        def call(self, x):
            return tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, self.conv(y)), [0, x])[1]

    inputs = keras.Input((4, 4, 3))
    return keras.Model(inputs, L.Flatten(name="flat")(Looped(name="looped")(inputs)))


def test_what_runs_in_a_loop_or_in_a_function_of_its_own_is_no_tensor_of_the_network():
    model = looped()
    recording = record(model, (None, 4, 4, 3))
    assert paths(recording) == ["looped", "flat"]
    batch = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)

    passed = compiled(
        recording,
        lambda: [recording.output, *tf.gradients(tf.reduce_sum(recording.output), recording.batch)],
    )
    with tf.GradientTape() as tape:
        x = tf.constant(batch)
        tape.watch(x)
        total = tf.reduce_sum(model(x))
    output, gradient = passed(tf.constant(batch))
    np.testing.assert_allclose(output, model(batch), atol=1e-6)
    np.testing.assert_allclose(gradient, tape.gradient(total, x), atol=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_a_pass_gives_the_tensors_of_another_batch(count):
    model = own()
    recording = record(model, (None, 8, 6, 3))
    batch = np.random.default_rng(1).random((count, 8, 6, 3), np.float32)
    output, first = compiled(recording, lambda: [recording.output, recording.calls[0].output])(tf.constant(batch))
    np.testing.assert_allclose(output, model(batch), atol=1e-6)
    np.testing.assert_allclose(first, model.block.branches[0](batch), atol=1e-6)


def test_a_pass_takes_more_than_the_batch():
    recording = record(own(), (None, 8, 6, 3))
    scaled = compiled(
        recording, lambda share, _unused: [recording.batch * share], tf.TensorSpec((), tf.float32), tf.TensorSpec((2,))
    )
    np.testing.assert_array_equal(
        scaled(tf.ones((2, 8, 6, 3)), tf.constant(3.0), tf.zeros(2))[0], np.full((2, 8, 6, 3), 3)
    )


def test_a_gradient_that_somebody_defined_is_the_one_that_is_taken():
    """Its function keeps tensors of the graph in which it was written: a copy of the graph would not do."""

    class Doubled(L.Layer):
        def call(self, x):
            scale = tf.reduce_max(x)

            @tf.custom_gradient
            def double(x):
                return x * 2, lambda gradient: gradient * 7 * scale

            return double(x)

    inputs = keras.Input((2, 2, 1))
    recording = record(keras.Model(inputs, L.Activation("silu")(Doubled()(inputs))), (None, 2, 2, 1))
    total = compiled(recording, lambda: tf.gradients(recording.output, recording.batch))
    batch = np.float32([[1, -2], [3, 0.5]]).reshape(1, 2, 2, 1)
    share = 1 / (1 + np.exp(-2 * batch))
    np.testing.assert_allclose(total(tf.constant(batch))[0], 21 * share * (1 + 2 * batch * (1 - share)), rtol=1e-5)


def test_weights_that_change_later_are_those_of_every_pass():
    model = own()
    recording = record(model, (None, 8, 6, 3))
    passed = compiled(recording, lambda: [recording.output])
    batch = tf.ones((1, 8, 6, 3))
    passed(batch)
    seeded(model, 5)
    np.testing.assert_allclose(passed(batch)[0], model(batch), atol=1e-6)


@pytest.mark.parametrize("make", [own, looped])
def test_a_pass_outlives_its_recording_and_keeps_nothing_of_it(make):
    model = make()
    batch = np.random.default_rng(2).random((2, *((8, 6, 3) if make is own else (4, 4, 3))), np.float32)

    def traced():
        one = record(model, (None, *batch.shape[1:]))
        passed = compiled(one, lambda: [one.output, *tf.gradients(tf.reduce_sum(one.output**2), one.batch)])
        return passed, weakref.ref(one), weakref.ref(one.batch.graph)

    passed, recording, graph = traced()
    gc.collect()
    assert (recording(), graph()) == (None, None)
    photos = tf.constant(batch)
    with tf.GradientTape() as tape:
        tape.watch(photos)
        output = model(photos)
        total = tf.reduce_sum(output**2)
    for tensor, expected in zip(passed(photos), [output, tape.gradient(total, photos)], strict=True):
        np.testing.assert_allclose(tensor, expected, rtol=1e-5, atol=1e-6)


def test_keras_is_as_before_after_a_trace_even_after_one_that_fails():
    class Failing(L.Layer):
        def call(self, x):
            if not isinstance(x, keras.KerasTensor):
                raise RuntimeError("not today")
            return x

    before = keras.Operation.__call__
    record(own(), (None, 8, 6, 3))
    assert keras.Operation.__call__ is before
    inputs = keras.Input((4, 4, 3))
    with pytest.raises(RuntimeError, match="not today"):
        record(keras.Model(inputs, Failing()(inputs)), (None, 4, 4, 3))
    assert keras.Operation.__call__ is before


def test_what_other_threads_call_meanwhile_is_not_recorded():
    elsewhere = deep_network().model

    class Meeting(L.Layer):
        """While it is traced, another thread calls another network."""

        def call(self, x):
            other = threading.Thread(target=lambda: elsewhere(np.zeros((1, 16, 16, 3), np.float32)))
            other.start()
            other.join()
            return x + 1

    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, Meeting(name="meeting")(inputs))
    assert paths(record(model, (None, 4, 4, 3))) == ["meeting"]


class Compiled(L.Layer):
    """A layer whose call is a function of TensorFlow, with an "if" and a "for" over tensors."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = L.Conv2D(3, 3, padding="same")

    def build(self, shape):
        self.conv.build(shape)

    @tf.function
    def call(self, x):
        x = tf.nn.relu(self.conv(x))
        if tf.reduce_max(x) > 1e6:
            x = x * 0
        for _ in tf.range(2):
            x = x + 1
        return x


def test_what_is_compiled_by_itself_is_seen_like_any_other_code():
    inputs = keras.Input((8, 6, 3))
    model = seeded(keras.Model(inputs, L.Dense(2, name="head")(L.Flatten(name="flat")(Compiled(name="block")(inputs)))))
    before = type(tf.function(lambda: None)).__call__
    recording = record(model, (None, 8, 6, 3))
    assert type(tf.function(lambda: None)).__call__ is before
    assert paths(recording) == ["block/conv", "block/relu", "block", "flat", "head"]
    assert "Relu" in {operation.type for operation in recording.operations}
    batch = np.random.default_rng(1).random((2, 8, 6, 3), np.float32)
    output, *gradients = compiled(
        recording, lambda: [recording.output, *tf.gradients(recording.output, recording.batch)]
    )(tf.constant(batch))
    with tf.GradientTape() as tape:
        x = tf.constant(batch)
        tape.watch(x)
        total = model(x)
    np.testing.assert_allclose(output, total, atol=1e-6)
    np.testing.assert_allclose(gradients[0], tape.gradient(total, x), atol=1e-6)


def test_what_works_only_as_a_function_of_its_own_is_left_as_one():
    class Typed(L.Layer):
        """Its function makes tensors of numbers."""

        def call(self, x):
            return self.scaled(x, 2)

        @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 3)), tf.TensorSpec((), tf.float32)])
        def scaled(self, x, by):
            return x * by.dtype.as_numpy_dtype(3) * by

    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, L.Flatten(name="flat")(Typed(name="typed")(inputs)))
    recording = record(model, (None, 4, 4, 3))
    assert paths(recording) == ["typed", "flat"]
    passed = compiled(recording, lambda: [recording.output])
    np.testing.assert_allclose(passed(tf.ones((1, 4, 4, 3)))[0], np.full((1, 48), 6))


@pytest.mark.parametrize("slope", [0.01, 0.3])
def test_a_sum_that_a_leaky_relu_follows_has_the_slope_that_was_asked_for(slope):
    """TensorFlow makes one operation of these four, with a slope of its own."""
    inputs = keras.Input((8, 6, 3))
    x = L.Add()([L.Conv2D(4, 3, padding="same")(inputs), L.Conv2D(4, 1)(inputs)])
    x = L.LeakyReLU(negative_slope=slope, name="leaky")(x)
    model = seeded(keras.Model(inputs, L.Dense(2)(L.Flatten()(x))))
    recording = record(model, (None, 8, 6, 3))
    batch = tf.constant(np.random.default_rng(1).random((2, 8, 6, 3), np.float32))
    with tf.GradientTape() as tape:
        tape.watch(batch)
        output = model(batch)
        total = tf.reduce_sum(output**2)
    (found,) = compiled(recording, lambda: [recording.output])(batch)  # alone: nothing else asks for the sum
    np.testing.assert_allclose(found, output, atol=1e-5)
    passed = compiled(recording, lambda: tf.gradients(tf.reduce_sum(recording.output**2), recording.batch))
    np.testing.assert_allclose(passed(batch)[0], tape.gradient(total, batch), atol=1e-4)


def test_a_variable_that_is_set_in_a_call_is_set_before_it_is_read():
    class Counting(L.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="float32")

        def call(self, x):
            self.count.assign(4.0)
            return x * self.count

    inputs = keras.Input((2, 2, 1))
    recording = record(keras.Model(inputs, Counting()(inputs)), (None, 2, 2, 1))
    (found,) = compiled(recording, lambda: [recording.output])(tf.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(found, np.full((1, 2, 2, 1), 4))
