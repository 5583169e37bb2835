"""One pass for all layers: its maps against closed forms, NumPy and numerical differences."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import cam_network, colour_network, deep_network, noise

from gradcam_core import NetworkError, SettingError
from gradcam_core.maps import gradients
from gradcam_core.networks.classifier import Classifier

LAYERS = ("conv1", "add2", "relu3")


def activation_of(network: Classifier, layer: str, batch: np.ndarray) -> np.ndarray:
    model = network.model
    return keras.Model(model.input, model.get_layer(layer).output)(batch).numpy()[0]


def take(network, names, method, score="logit", photo=None, target=0):
    """The maps of the layers with any function of (activation, gradient) as the method."""
    batch = network.to_input(noise() if photo is None else photo)
    return gradients.trace(network, names, method, score)(batch, target)


def test_grad_cam_is_cam_before_a_global_average_pool():
    network = cam_network()
    batch = network.to_input(noise(12))
    kernel, _ = network.model.get_layer("head").get_weights()
    activation = activation_of(network, "relu", batch)
    for target in range(3):
        cam = activation @ kernel[:, target]  # Zhou et al. 2016
        _, maps = gradients.trace(network, ("relu",))(batch, target)
        np.testing.assert_allclose(maps["relu"] * activation[..., 0].size, cam, atol=1e-5)


def test_activation_times_gradient_and_bias_add_up_to_the_logit():
    network = cam_network()
    _, bias = network.model.get_layer("head").get_weights()
    for target in range(3):
        logits, maps = take(network, ("relu",), lambda a, g: tf.reduce_sum(a * g, -1), photo=noise(12), target=target)
        assert maps["relu"].sum() + bias[target] == pytest.approx(logits[target], abs=1e-5)


def test_grad_cam_is_the_numpy_formula_of_the_same_activation_and_gradient():
    network = deep_network()
    _, maps = take(network, LAYERS, "gradcam")
    _, activations = take(network, LAYERS, lambda a, g: a)
    _, gradient = take(network, LAYERS, lambda a, g: g)
    for name in LAYERS:
        weight = gradient[name].mean((0, 1))
        np.testing.assert_allclose(maps[name], (activations[name] * weight).sum(-1), atol=1e-6)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_gradients_agree_with_central_differences(score):
    network = deep_network(activation=None)
    tail_in = keras.Input((4, 4, 8))
    x = tail_in
    for layer in network.model.layers[network.model.layers.index(network.model.get_layer("relu3")) + 1 :]:
        x = layer(x)
    tail = keras.Model(tail_in, x)
    activation = activation_of(network, "relu3", network.to_input(noise()))
    _, gradient = take(network, ("relu3",), lambda a, g: g, score, target=2)

    def value(a):
        logits = tail(a[None].astype(np.float32)).numpy()[0].astype(np.float64)
        power = np.exp(logits)
        return logits[2] if score == "logit" else power[2] / power.sum()

    for place in [(0, 0, 0), (1, 2, 3), (3, 3, 7), (2, 1, 5)]:
        step = np.zeros_like(activation)
        step[place] = 0.05
        numerical = (value(activation + step) - value(activation - step)) / 0.1
        assert gradient["relu3"][place] == pytest.approx(numerical, rel=0.02, abs=1e-5)


def test_probability_score_is_the_articles_loop():
    network = deep_network(activation="softmax")
    batch = network.to_input(noise())
    model = network.model
    both = keras.Model(model.input, [model.get_layer("relu3").output, model.output])
    with tf.GradientTape() as tape:
        conv, predictions = both(tf.constant(batch))
        index = int(np.argmax(predictions[0]))
        output = predictions[:, index]
    pooled = np.mean(tape.gradient(output, conv).numpy(), axis=(0, 1, 2))
    conv = conv.numpy()[0]
    for i in range(conv.shape[-1]):
        conv[:, :, i] *= pooled[i]
    article = np.maximum(np.mean(conv, axis=-1), 0)
    article /= article.max()

    _, maps = gradients.trace(network, ("relu3",), score="probability")(batch)
    ours = np.maximum(maps["relu3"], 0)
    np.testing.assert_allclose(ours / ours.max(), article, atol=1e-5)
    np.testing.assert_allclose(maps["relu3"] / conv.shape[-1], np.mean(conv, axis=-1), atol=1e-7)


def test_a_saturated_softmax_empties_the_probability_map_but_not_the_logit_map():
    network = cam_network(activation="softmax", seed=3)
    kernel, bias = network.model.get_layer("head").get_weights()
    network.model.get_layer("head").set_weights([kernel * 1e4, bias])
    batch = network.to_input(noise(12))
    assert gradients.trace(network, ("relu",), score="probability")(batch)[1]["relu"].max() == 0
    assert np.abs(gradients.trace(network, ("relu",))(batch)[1]["relu"]).max() > 1


def test_a_softmax_head_and_a_logit_head_give_the_same_logits_and_maps():
    batch = deep_network().to_input(noise())
    heads = [gradients.trace(deep_network(activation), LAYERS)(batch, 1) for activation in (None, "softmax")]
    np.testing.assert_allclose(heads[0][0], heads[1][0], atol=1e-6)
    for name in LAYERS:
        np.testing.assert_allclose(heads[0][1][name], heads[1][1][name], atol=1e-7)


@pytest.mark.parametrize(
    ("activation", "make"),
    [
        ("softmax", lambda: keras.layers.Softmax()),
        ("softmax", lambda: keras.layers.Activation("softmax")),
        ("softmax", lambda: keras.ops.softmax),
        ("sigmoid", lambda: keras.layers.Activation("sigmoid")),
        ("sigmoid", lambda: keras.ops.sigmoid),
    ],
)
@pytest.mark.parametrize(
    "hand_on",
    [
        None,
        lambda: keras.layers.Activation("linear", dtype="float32"),
        lambda: keras.layers.Identity(),
        lambda: keras.layers.Reshape((1, 3)),
        lambda: keras.layers.Dropout(0.5),
        lambda: keras.Sequential([keras.Input((3,)), keras.layers.Flatten()]),
    ],
)
def test_an_activation_in_a_layer_of_its_own_is_passed_by(activation, make, hand_on):
    logits = cam_network().model
    outputs = make()(logits.output)
    network = Classifier("own", keras.Model(logits.input, hand_on()(outputs) if hand_on else outputs))
    batch = network.to_input(noise(12))
    found, _ = gradients.trace(network, ("relu",))(batch)
    assert network.activation == activation
    np.testing.assert_allclose(found, logits(batch).numpy()[0], atol=1e-6)
    np.testing.assert_allclose(network.probabilities(found), network.model(batch).numpy().reshape(-1), atol=1e-6)


def test_adding_a_constant_to_all_logits_changes_no_map():
    network = deep_network()
    head = network.model.get_layer("head")
    before = take(network, LAYERS, "gradcam")[1]
    kernel, bias = head.get_weights()
    head.set_weights([kernel, bias + 7])
    after = take(network, LAYERS, "gradcam")[1]
    for name in LAYERS:
        np.testing.assert_array_equal(before[name], after[name])


def test_many_layers_in_one_call_are_the_same_as_one_call_each():
    network = deep_network()
    together = take(network, LAYERS, "gradcam")[1]
    for name in LAYERS:
        alone = take(network, (name,), "gradcam")[1]
        np.testing.assert_allclose(together[name], alone[name], atol=1e-7)


def test_no_target_means_the_most_probable_class():
    network = deep_network()
    logits, top = take(network, LAYERS, "gradcam", target=None)
    _, named = take(network, LAYERS, "gradcam", target=int(logits.argmax()))
    for name in LAYERS:
        np.testing.assert_array_equal(top[name], named[name])


def test_a_planted_blob_is_found_for_its_class_and_not_for_the_other():
    photo = np.full((12, 12, 3), 255, np.uint8)  # white: neither red nor blue alone
    photo[2:5, 6:9] = (255, 0, 0)
    network = colour_network()
    batch = network.to_input(photo)
    red = gradients.trace(network, ("conv",))(batch, 0)[1]["conv"]
    blue = gradients.trace(network, ("conv",))(batch, 1)[1]["conv"]
    inside = np.zeros((12, 12), bool)
    inside[2:5, 6:9] = True
    assert red[inside].min() > 0
    assert (red[~inside] == 0).all()
    assert (blue <= 0).all()


def test_a_flipped_photo_flips_the_map():
    network = colour_network()
    photo = noise(12)
    trace = gradients.trace(network, ("conv",))
    for axis in (0, 1):
        flipped = trace(network.to_input(np.flip(photo, axis)), 0)[1]["conv"]
        np.testing.assert_allclose(np.flip(flipped, axis), trace(network.to_input(photo), 0)[1]["conv"], atol=1e-7)


def test_an_explanation_changes_neither_weights_nor_outputs_nor_the_layers():
    network = deep_network()
    batch = network.to_input(noise())
    weights = [w.copy() for w in network.model.get_weights()]
    outputs = network.model(batch).numpy()
    nodes = [len(layer._inbound_nodes) for layer in network.model.layers]
    gradients.trace(network, LAYERS, score="probability")(batch)

    def fail(activation, gradient):
        raise RuntimeError("a method that fails")

    with pytest.raises(RuntimeError, match="a method that fails"):
        gradients.trace(network, LAYERS, fail)
    threads = [threading.Thread(target=gradients.trace(network, LAYERS), args=(batch, i % 4)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for before, after in zip(weights, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(outputs, network.model(batch).numpy())
    assert [len(layer._inbound_nodes) for layer in network.model.layers] == nodes
    assert network.model.get_layer("head").activation is keras.activations.softmax


def test_threads_get_the_maps_of_their_own_photo_and_class():
    network = deep_network()
    photos = [network.to_input(noise(seed=seed)) for seed in range(8)]
    expected = [gradients.trace(deep_network(), LAYERS)(photo, i % 4)[1] for i, photo in enumerate(photos)]

    def explain(i: int) -> dict[str, np.ndarray]:
        return gradients.trace(network, LAYERS)(photos[i % 8], i % 4)[1]

    with ThreadPoolExecutor(8) as threads:  # that passes wait for one another, tests/maps/test_pass.py holds
        for i, found in enumerate(threads.map(explain, range(160))):
            for name in LAYERS:
                np.testing.assert_allclose(found[name], expected[i % 8][name], atol=1e-7)


def test_a_pass_is_traced_once_for_its_layers_method_and_score():
    network = deep_network()
    assert gradients.trace(network, LAYERS) is gradients.trace(network, LAYERS)
    assert gradients.trace(network, LAYERS) is not gradients.trace(network, LAYERS, score="probability")
    assert gradients.trace(network, LAYERS) is not gradients.trace(network, LAYERS[:2])


def test_one_sigmoid_output_is_two_classes_with_opposite_evidence():
    network = cam_network(activation="sigmoid", classes=1)
    batch = network.to_input(noise(12))
    logits, no = gradients.trace(network, ("relu",))(batch, 0)
    _, yes = gradients.trace(network, ("relu",))(batch, 1)
    probability = network.model(batch).numpy()[0, 0]
    np.testing.assert_allclose(network.probabilities(logits), [1 - probability, probability], atol=1e-6)
    np.testing.assert_allclose(no["relu"], -yes["relu"], atol=1e-7)


def test_several_sigmoid_outputs_are_judged_each_alone():
    network = cam_network(activation="sigmoid")
    batch = network.to_input(noise(12))
    logits, _ = gradients.trace(network, ("relu",))(batch, 1)
    np.testing.assert_allclose(network.probabilities(logits), network.model(batch).numpy()[0], atol=1e-6)


def test_a_network_in_mixed_precision_is_explained_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = cam_network(activation="softmax")
    finally:
        keras.config.set_dtype_policy("float32")
    logits, maps = gradients.trace(network, ("relu",))(network.to_input(noise(12)), 0)
    reference, expected = gradients.trace(cam_network(), ("relu",))(network.to_input(noise(12)), 0)
    assert logits.dtype == maps["relu"].dtype == np.float32
    np.testing.assert_allclose(logits, reference, atol=0.01)
    np.testing.assert_allclose(maps["relu"], expected["relu"], atol=0.01)


def test_values_that_are_not_numbers_are_refused_with_a_sentence():
    network = cam_network()
    kernel, bias = network.model.get_layer("head").get_weights()
    network.model.get_layer("head").set_weights([kernel * np.nan, bias])
    with pytest.raises(NetworkError, match="not numbers"):
        gradients.trace(network, ("relu",))(network.to_input(noise(12)))


@pytest.mark.parametrize("wrong", [{"method": "magic"}, {"score": "loss"}])
def test_unknown_settings_are_named(wrong):
    with pytest.raises(SettingError, match=r"magic.*gradcam|logit.*loss"):
        gradients.trace(cam_network(), ("relu",), **wrong)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_several_classes_at_once_are_each_alone(score):
    network = deep_network()
    batch = network.to_input(noise())
    trace = gradients.trace(network, LAYERS, score=score)
    logits, maps = trace(batch, np.eye(4, dtype=np.float32)[[2, 0, 3]])
    for row, target in enumerate([2, 0, 3]):
        alone_logits, alone = trace(batch, target)
        np.testing.assert_allclose(logits, alone_logits, atol=1e-6)
        for name in LAYERS:
            np.testing.assert_allclose(maps[name][row], alone[name], atol=1e-6)


def test_a_sum_of_scores_has_the_sum_of_their_maps():
    network = deep_network()
    batch = network.to_input(noise())
    trace = gradients.trace(network, LAYERS)
    maps = trace(batch, np.float32([[1, -0.5, 0, 0]]))[1]
    first, second = trace(batch, 0)[1], trace(batch, 1)[1]
    for name in LAYERS:
        np.testing.assert_allclose(maps[name][0], first[name] - 0.5 * second[name], atol=1e-6)
