"""Networks put together at random: what they say, their maps, and where these lie. How to run many: tests/README.md."""

import keras
import numpy as np
import pytest
from generated_networks import by_hand, generated

import gradcam_core as gc

QUICK, ALL = 8, 300


@pytest.mark.parametrize("seed", [*range(QUICK), *(pytest.param(i, marks=pytest.mark.long) for i in range(QUICK, ALL))])
def test_a_network_of_any_kind_is_explained_rightly(seed):
    made = generated(seed)
    network = gc.Classifier("generated", made.model)
    photo = np.random.default_rng(seed).integers(0, 256, (*network.input_size, 3), np.uint8)
    batch = photo[np.newaxis].astype(np.float32)

    own = made.model(batch).numpy().ravel()
    if network.recording.head.is_log:
        own = np.exp(own)
    elif network.activation == "linear":
        own = keras.ops.softmax(own).numpy()
    own = np.array([1 - own[0], own[0]]) if own.size == 1 else own
    shown = network.probabilities(network.predict_logits(batch)[0])
    np.testing.assert_allclose(shown, own, atol=1e-4)

    names = [name for name in made.probes if name != "logits"]
    prefix = next(layer.name for layer in network.named_layers if layer.name.endswith("red")).removesuffix("red")
    targets = [len(own) - 1, 0]
    many = gc.explain_classes(network, photo, targets, [f"{prefix}{name}" for name in names])
    for target, found in zip(targets, many, strict=True):
        alone = gc.explain(network, photo, target, [f"{prefix}{name}" for name in names])
        for name, expected in by_hand(made, batch, target).items():
            heat_map, one = found.maps[f"{prefix}{name}"], alone.maps[f"{prefix}{name}"]
            place = heat_map.layer.place
            assert place is not None, name
            if place.axes[0] > place.axes[1]:
                expected = expected.T
            expected = place.over_input(expected[np.newaxis])[0]
            peak = np.abs(expected).max()
            np.testing.assert_allclose(heat_map.raw, expected, atol=1e-4 * peak + 1e-12, err_msg=name)
            np.testing.assert_allclose(heat_map.raw, one.raw, atol=1e-4 * peak + 1e-12, err_msg=name)

    assert_found(made, network, f"{prefix}red", np.random.default_rng(seed))
    assert gc.explain(network, photo).maps


def assert_found(made, network, name, rng):
    """A red square on black is where the map of the layer that finds red has its mass."""
    top, bottom, left, right = made.seen
    y, x = rng.integers(top, bottom - 5), rng.integers(left, right - 5)
    planted = np.zeros((*network.input_size, 3), np.uint8)
    planted[y : y + 5, x : x + 5] = (255, 0, 0)
    mass = np.abs(gc.explain(network, planted, 0, name).maps[name].raw)
    if not mass.any():  # a ReLU behind it is silent
        return
    rows, columns = np.indices(mass.shape)
    sides = [side / count for side, count in zip(planted.shape, mass.shape, strict=False)]
    centre = [
        ((axis + 0.5) * mass).sum() / mass.sum() * side for axis, side in zip((rows, columns), sides, strict=True)
    ]
    np.testing.assert_allclose(centre, (y + 2.5, x + 2.5), atol=0.5 * max(sides))
