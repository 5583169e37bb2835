"""Score-CAM of more channels than go through a network at once."""

import keras
import numpy as np
import pytest
from tiny_networks import cam_network, deep_network, noise, seeded

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.pictures.render import resize_heat
from gradcam_core.settings import BATCH_PIXELS

CHANNELS = 40


def wide_network() -> gc.Classifier:
    """An input so large that 40 channels take three batches; two of the channels are dark everywhere."""
    inputs = keras.Input((160, 320, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(CHANNELS, 32, strides=32, activation="relu", name="conv")(x)
    x = keras.layers.Flatten()(x)
    network = gc.Classifier("wide", seeded(keras.Model(inputs, keras.layers.Dense(3)(x)), 4))
    conv = network.model.get_layer("conv")
    kernel, bias = conv.kernel.numpy() * 0.02, conv.bias.numpy()  # small, so that no channel outweighs all others
    bias[[1, 25]] = -1e4
    conv.set_weights([kernel, bias])
    return network


def test_every_channel_counts_also_those_of_later_batches():
    network, photo, steps = wide_network(), noise(160, width=320), []
    assert CHANNELS > 2 * (BATCH_PIXELS // (160 * 320))
    found = gc.explain(network, photo, 2, "conv", method="scorecam", progress=lambda *step: steps.append(step))
    batch = network.to_input(photo)
    activation = gradients.trace(network, ("conv",), lambda a, g: a)(batch, 0)[1]["conv"]
    assert activation.shape == (5, 10, CHANNELS)
    nothing = network.predict_logits(np.zeros_like(batch))[0, 2]
    gains = np.full(CHANNELS, -np.inf)
    for k in range(CHANNELS):
        channel = activation[..., k]
        if channel.max() > channel.min():
            mask = resize_heat((channel - channel.min()) / np.ptp(channel), width=320, height=160)
            mask = (mask - mask.min()) / np.ptp(mask)
            gains[k] = network.predict_logits(batch * mask[..., None])[0, 2] - nothing
    assert np.isinf(gains[[1, 25]]).all()
    weights = np.exp(gains - gains.max())
    weights /= weights.sum()
    assert min(weights[:15].sum(), weights[15:30].sum(), weights[30:].sum()) > 0.05
    expected = activation @ weights
    np.testing.assert_allclose(found.maps["conv"].raw, expected, atol=1e-4 * expected.max())
    done, totals = zip(*steps, strict=True)
    assert set(totals) == {CHANNELS}
    assert list(done) == sorted(set(done))
    assert done[-1] == CHANNELS
    assert len(steps) >= 3


def test_score_cam_is_its_algorithm():
    network, photo = deep_network(), noise()
    batch = network.to_input(photo)

    def activation_of(name):
        return gradients.trace(network, (name,), lambda a, g: a)(batch, 0)[1][name]

    found = gc.explain(network, photo, 1, ["relu2", "relu3"], method="scorecam")
    for name, heat_map in found.maps.items():
        activation = activation_of(name)
        baseline = network.predict_logits(np.zeros_like(batch))[0][1]
        gains, channels = [], []
        for k in range(activation.shape[-1]):
            channel = activation[..., k]
            if channel.max() > channel.min():
                mask = resize_heat((channel - channel.min()) / np.ptp(channel), 16, 16)
                mask = (mask - mask.min()) / np.ptp(mask)  # enlarged first, then from 0 to 1
                gains.append(network.predict_logits(batch * mask[..., None])[0][1] - baseline)
                channels.append(channel)
        weights = np.exp(gains) / np.exp(gains).sum()
        np.testing.assert_allclose(heat_map.raw, np.tensordot(weights, channels, 1), rtol=1e-4, atol=1e-6)


def test_channels_count_however_faint_they_are():
    strong, faint = cam_network(), cam_network()
    for layer, size in (("conv", 1e-9), ("head", 1e9)):
        kernel, bias = faint.model.get_layer(layer).get_weights()
        faint.model.get_layer(layer).set_weights([kernel * size, bias * (size if layer == "conv" else 1)])
    expected, found = (
        gc.explain(network, noise(12), 1, "relu", method="scorecam").maps["relu"] for network in (strong, faint)
    )
    assert not expected.is_empty
    np.testing.assert_allclose(found.raw * 1e9, expected.raw, atol=1e-4 * expected.peak)


def test_each_of_several_classes_has_the_map_that_it_has_alone_however_large_the_others_scores_are():
    network, photo = cam_network(), noise(12)
    kernel, bias = network.model.get_layer("head").get_weights()
    network.model.get_layer("head").set_weights([kernel * np.float32([1, 1e5, 1]), bias])
    for found in gc.explain_classes(network, photo, [0, 1], "relu", method="scorecam"):
        alone = gc.explain(network, photo, found.target.index, "relu", method="scorecam").maps["relu"]
        assert not alone.is_empty
        np.testing.assert_allclose(found.maps["relu"].raw, alone.raw, rtol=1e-4)


def test_score_cam_tells_how_far_it_is_and_can_be_stopped():
    network, seen = deep_network(), []
    gc.explain(network, noise(), 1, "relu3", method="scorecam", progress=lambda *step: seen.append(step))
    assert seen[-1] == (8, 8)

    def stop(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gc.explain(network, noise(), 1, "relu3", method="scorecam", progress=stop)


def test_score_cam_of_a_layer_that_is_the_same_everywhere_is_empty():
    network = deep_network()
    for variable in network.model.get_layer("conv3").weights:
        variable.assign(np.full(variable.shape, -1.0))
    assert (
        gc.explain(network, np.full((16, 16, 3), 200, np.uint8), 1, "relu3", method="scorecam").maps["relu3"].is_empty
    )
