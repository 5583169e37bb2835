"""The pass itself: as at inference, alone, through every layer, and forgotten when nobody asks for it any more."""

import gc as garbage
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import cam_network, noise, seeded

import gradcam_core as gc
from gradcam_core.maps import gradients


class Turnstile(keras.layers.Layer):
    """Lets everything through, and counts how many backward passes are inside it at once."""

    inside, most, passed, patience = 0, 0, 0, 0.0
    _counting, _met = threading.Lock(), threading.Event()

    @classmethod
    def _enter(cls) -> np.float32:
        with cls._counting:
            cls.inside += 1
            cls.most = max(cls.most, cls.inside)
            if cls.inside > 1:
                cls._met.set()
        cls._met.wait(cls.patience)  # time for a second one to come in, if it can
        with cls._counting:
            cls.inside -= 1
            cls.passed += 1
        return np.float32(0)

    def call(self, x):
        @tf.custom_gradient
        def through(value):
            def gradient(upstream):
                with tf.control_dependencies([upstream]):
                    nothing = tf.numpy_function(type(self)._enter, [], tf.float32, stateful=True)
                return upstream + tf.cast(nothing, upstream.dtype)

            return tf.identity(value), gradient

        return through(x)

    def compute_output_shape(self, shape):
        return shape


def gated_network(name: str) -> gc.Classifier:
    inputs = keras.Input((8, 10, 3))
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(Turnstile(name="turnstile")(x))
    return gc.Classifier(name, seeded(keras.Model(inputs, keras.layers.Dense(3)(x))))


def test_no_two_backward_passes_run_at_once_whatever_the_network_and_the_method(monkeypatch):
    one, other = gated_network("one"), gated_network("other")
    asked = [(one, "gradcam"), (other, "gradcam"), (one, "guided")]

    def ask(network: gc.Classifier, method: str) -> gc.Explanation:
        return gc.explain(network, noise(8, width=10), 1, "conv", method=method)

    expected = [ask(*each) for each in asked]  # compiles them, so that nothing else keeps them apart
    for name, value in (("most", 0), ("passed", 0), ("patience", 0.7), ("_met", threading.Event())):
        monkeypatch.setattr(Turnstile, name, value)
    at_once = threading.Barrier(len(asked))

    def ask_at_once(each: tuple[gc.Classifier, str]) -> gc.Explanation:
        at_once.wait()
        return ask(*each)

    with ThreadPoolExecutor(len(asked)) as threads:
        found = list(threads.map(ask_at_once, asked))
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.maps["conv"].raw, its.maps["conv"].raw, rtol=1e-5)
    assert Turnstile.passed >= 4  # the guided one passes twice
    assert Turnstile.most == 1


def model(training: dict, in_a_network: bool) -> keras.Model:
    """Layers that do something else in training, called as ``training`` says, alone or inside a nested network."""
    layers = [
        keras.layers.Conv2D(4, 3, name="conv"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.ReLU(name="relu"),
        keras.layers.Dropout(0.5, seed=1, name="drop"),
    ]
    inputs = keras.Input((8, 10, 3))
    if in_a_network:
        x = keras.Sequential([keras.Input((8, 10, 3)), *layers], name="inner")(inputs, **training)
    else:
        x = inputs
        for layer in layers:
            x = layer(x, **(training if layer.name in ("norm", "drop") else {}))
    return seeded(keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))))


@pytest.mark.parametrize("in_a_network", [False, True], ids=["layers", "network"])
def test_a_network_whose_calls_say_training_is_explained_as_at_inference(in_a_network):
    photo = noise(8, width=10)
    trained, plain = (
        gc.Classifier("own", model(training, in_a_network)) for training in ({"training": True}, {"training": False})
    )
    moving = [np.copy(values) for values in trained.model.get_weights()]
    batch = plain.to_input(photo)
    np.testing.assert_allclose(trained.predict_logits(batch), plain.model(batch, training=False), atol=1e-5)
    for method in ("hirescam", "guided"):
        found, expected, again = (
            gc.explain(network, photo, 1, "all", method=method) for network in (trained, plain, trained)
        )
        for name, heat_map in expected.maps.items():
            size = np.abs(heat_map.raw).max()
            np.testing.assert_allclose(found.maps[name].raw, heat_map.raw, atol=1e-4 * size)
            np.testing.assert_allclose(again.maps[name].raw, heat_map.raw, atol=1e-4 * size)
    for mine, its in zip(trained.model.get_weights(), moving, strict=True):
        np.testing.assert_array_equal(mine, its)  # no statistics were updated


def stopped_network() -> gc.Classifier:
    """No gradient gets back to "before"; it does to "after"."""
    inputs = keras.Input((8, 10, 3))
    x = keras.layers.Conv2D(3, 3, activation="relu", padding="same", name="before")(inputs)
    x = keras.ops.stop_gradient(x)
    x = keras.layers.Conv2D(4, 3, activation="relu", padding="same", name="after")(x)
    return gc.Classifier("stopped", seeded(keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))))


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "layercam", "eigengradcam", "guided"])
@pytest.mark.parametrize("targets", [[1], [1, 2]])
def test_a_layer_that_the_score_does_not_depend_on_has_an_empty_map(method, targets):
    for result in gc.explain_classes(
        stopped_network(), noise(8, width=10), targets, ["before", "after"], method=method
    ):
        assert result.maps["before"].is_empty
        assert not result.maps["before"].raw.any()
        # Guided backpropagation goes on to the photo, which the score does not depend on either.
        assert result.maps["after"].raw.any() == (method != "guided")


def test_passes_that_nobody_asks_for_any_more_are_forgotten_and_the_one_in_use_is_kept():
    network = cam_network()
    kept = gradients.trace(network, ("relu",))
    methods = [lambda a, g, share=share: tf.reduce_sum(a * g, -1) * share for share in range(24)]
    alive = [weakref.ref(method) for method in methods]
    while methods:
        gradients.trace(network, ("relu",), methods.pop(0))
        assert gradients.trace(network, ("relu",)) is kept
    garbage.collect()
    still = [method() is not None for method in alive]
    assert not any(still[:4])  # the first ones asked for
    assert still[-1]
    assert sum(still) <= 16


def test_a_network_does_not_grow_with_the_passes_that_are_asked_for():
    """Each leaves its gradients in the graph that it was built on."""
    network = cam_network()
    batch, sizes = network.to_input(noise(12)), []
    before = gradients.trace(network, ("relu",))(batch, 0)[1]["relu"]
    for share in range(1, 60):
        found = gradients.trace(network, ("relu",), lambda a, g, share=share: share * a[..., 0] * g[..., 0])
        sizes.append(len(network.recording.operations))
    assert max(sizes[30:]) < 1.1 * max(sizes[:30])
    first = gradients.trace(network, ("relu",), lambda a, g: a[..., 0] * g[..., 0])(batch, 0)[1]["relu"]
    np.testing.assert_allclose(found(batch, 0)[1]["relu"], 59 * first, rtol=1e-5)
    np.testing.assert_allclose(gradients.trace(network, ("relu",))(batch, 0)[1]["relu"], before, rtol=1e-5)


def test_a_pass_keeps_nothing_of_the_recording_that_it_was_made_of():
    network = cam_network()
    passed = gradients.trace(network, ("relu",))
    before = passed(network.to_input(noise(12)), 0)[1]["relu"]
    graph = weakref.ref(network.recording.batch.graph)
    network.recording = network.recorded()  # as after many passes
    garbage.collect()
    assert graph() is None
    np.testing.assert_array_equal(passed(network.to_input(noise(12)), 0)[1]["relu"], before)


def test_a_pass_gives_its_own_methods_maps():
    network = cam_network()
    batch = network.to_input(noise(12))
    for share in (1.0, 2.0):
        found = gradients.trace(network, ("relu",), lambda a, g, share=share: share * a[..., 0])(batch, 0)[1]["relu"]
        first = gradients.trace(network, ("relu",), lambda a, g: a)(batch, 0)[1]["relu"][..., 0]
        np.testing.assert_allclose(found, share * first, rtol=1e-6)
