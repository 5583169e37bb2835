"""The same maps as tf-keras-vis, on the same network and layer, before either scales them for display.

Run with ``pip install .[bench]``; skipped without. The network gives logits, so both explain the same score.
"""

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded, staged_network

import gradcam_core as gc
from gradcam_core.maps import gradients

pytest.importorskip("tf_keras_vis", reason="needs tf-keras-vis: pip install .[bench]")

TARGET = 7
NETWORK = staged_network()
LAYERS = [layer.name for layer in gc.select(NETWORK, "stages")]


def theirs(kind: str, layer: str) -> np.ndarray:
    """float32 (h, w): what tf-keras-vis gives before it scales the map."""
    from tf_keras_vis import gradcam, gradcam_plus_plus, layercam
    from tf_keras_vis.utils.scores import CategoricalScore

    methods = {
        "gradcam": gradcam.Gradcam,
        "gradcam++": gradcam_plus_plus.GradcamPlusPlus,
        "layercam": layercam.Layercam,
    }
    found = methods[kind](NETWORK.model, clone=True)(
        CategoricalScore(TARGET),
        NETWORK.to_input(noise(72)),
        penultimate_layer=layer,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    return np.asarray(found)[0]


def assert_agree(ours: np.ndarray, others: np.ndarray) -> None:
    np.testing.assert_allclose(np.maximum(ours, 0), others, atol=1e-5 * others.max())
    assert others.max() > 0


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_the_maps_agree(method, layer):
    ours = gc.explain(NETWORK, noise(72), TARGET, layer, method=method).maps[layer].raw
    assert_agree(ours, theirs(method, layer))


@pytest.mark.parametrize("layer", LAYERS[-2:])
def test_grad_cam_plus_plus_agrees_up_to_a_step_that_its_paper_does_not_have(layer):
    """tf-keras-vis divides the alphas of each channel by their sum, as the authors' program does and equations 5 and
    10 do not: its maps are compared with ours and this step. It multiplies by e to the score, too. In shallow layers,
    where the sum of the activations is large, some denominators come so near 0 that float32 has no digits left."""
    batch = NETWORK.to_input(noise(72))
    logits, activation = gradients.trace(NETWORK, (layer,), lambda a, g: a)(batch, TARGET)
    _, gradient = gradients.trace(NETWORK, (layer,), lambda a, g: g)(batch, TARGET)
    a, g = activation[layer].astype(np.float64), gradient[layer].astype(np.float64)
    below = 2 * g**2 + g**3 * a.sum((0, 1))
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
    weights = (alpha * np.maximum(g, 0)).sum((0, 1))
    ours = gc.explain(NETWORK, noise(72), TARGET, layer, method="gradcam++").maps[layer].raw
    np.testing.assert_allclose(ours, a @ weights, atol=1e-5 * np.abs(ours).max())
    totals = alpha.sum((0, 1))
    with_step = a @ (weights / np.where(totals == 0, 1, totals)) * np.exp(logits[TARGET].astype(np.float64))
    assert_agree(with_step, theirs("gradcam++", layer))


def test_guided_backpropagation_agrees_where_the_relus_are_inside_layers():
    """tf-keras-vis passes by ReLU layers and ``keras.ops.relu``, so those are not compared."""
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation
    from tf_keras_vis.utils.scores import CategoricalScore

    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(6, 3, activation="relu")(x)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.Dense(9, activation="relu")(keras.layers.Flatten()(x))
    network = gc.Classifier("relus", seeded(keras.Model(inputs, keras.layers.Dense(3)(x)), seed=2))
    batch = network.to_input(noise())
    others = Saliency(network.model, model_modifier=GuidedBackpropagation(), clone=True)(
        CategoricalScore(1), batch, keepdims=True, gradient_modifier=None, normalize_map=False
    )[0]
    ours = gradients.guided_backpropagation(network)(batch, np.float32([0, 1, 0]))
    np.testing.assert_allclose(ours, others, atol=1e-5 * np.abs(others).max())
    assert np.abs(others).max() > 0
