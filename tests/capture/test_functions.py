"""Functions of a part of a traced graph."""

import numpy as np
import pytest
import tensorflow as tf

from gradcam_core.capture.functions import function_of

PHOTO = np.float32([[3, -1, 4], [1, -5, 9]])


@pytest.fixture
def graph():
    """An empty graph, in which what the test writes goes."""
    graph = tf.__internal__.FuncGraph("traced")
    with graph.as_default():
        yield graph


def called(inputs: list[tf.Tensor], outputs: list[tf.Tensor], *values: np.ndarray) -> list[np.ndarray]:
    with tf.init_scope():
        return [found.numpy() for found in function_of(inputs, outputs)(*map(tf.constant, values))]


def test_from_any_tensor_on_what_lies_before_is_not_asked_for(graph):
    batch, more = (tf.compat.v1.placeholder(tf.float32, (None, 3)) for _ in range(2))
    middle = tf.nn.relu(batch * 2)
    found = called([middle, more], [middle - more, more], PHOTO, PHOTO[::-1])
    np.testing.assert_array_equal(found, [PHOTO - PHOTO[::-1], PHOTO[::-1]])


def test_a_variable_has_the_value_that_it_has_at_the_call(graph):
    with tf.init_scope():
        slope, other = tf.Variable(2.0), tf.Variable(7.0)
    batch = tf.compat.v1.placeholder(tf.float32, (None, 3))
    sum_of_both, result = batch * other + slope, batch * slope
    with tf.init_scope():
        slope.assign(3)
    np.testing.assert_array_equal(*called([batch], [result], PHOTO), 3 * PHOTO)
    np.testing.assert_array_equal(*called([batch], [sum_of_both], PHOTO), 7 * PHOTO + 3)


def test_a_loop_runs_in_it(graph):
    batch = tf.compat.v1.placeholder(tf.float32, (None, 3))
    (doubled,) = tf.while_loop(lambda x: tf.reduce_max(x) < 100, lambda x: (2 * x,), [batch])
    np.testing.assert_array_equal(*called([batch], [doubled + 1], PHOTO), 16 * PHOTO + 1)
