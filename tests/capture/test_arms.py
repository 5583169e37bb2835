"""Networks whose parts meet in no map: each part has a layer for each of its stages."""

import keras
import pytest

from gradcam_core import select
from gradcam_core.networks.classifier import Classifier


def member(x, name: str, filters: int):
    """Two stages of relus, and their gate, which is no map: the mean over each channel."""
    for stage in (1, 2):
        x = keras.layers.Conv2D(filters, 3, strides=stage, padding="same", name=f"{name}_conv{stage}")(x)
        x = keras.layers.ReLU(name=f"{name}_relu{stage}")(x)
        gate = keras.layers.Dense(filters, "sigmoid")(keras.layers.GlobalAveragePooling2D(keepdims=True)(x))
        x = keras.layers.Multiply(name=f"{name}_gated{stage}")([x, gate])
    return x


def answer(x):
    return keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(x))


def stages_of(network: Classifier) -> set[str]:
    """Keras runs arms in an order of its own."""
    return {layer.name for layer in select(network, "stages")}


def test_every_member_of_an_ensemble_has_a_layer_for_each_stage():
    inputs = keras.Input((20, 16, 3))
    members = [member(inputs, name, filters) for name, filters in (("a", 4), ("b", 6), ("c", 2))]
    mean = keras.layers.Average()([answer(x) for x in members])
    network = Classifier("ensemble", keras.Model(inputs, mean))
    assert stages_of(network) == {f"{name}_gated{stage}" for name in "abc" for stage in (1, 2)}
    apart = keras.Model(inputs, [answer(members[0]), answer(members[2])])
    assert stages_of(Classifier("one of two", apart, output=1)) == {"c_gated1", "c_gated2"}


def test_two_looks_at_one_stem_have_a_layer_each():
    inputs = keras.Input((20, 16, 3))
    stem = keras.layers.ReLU(name="stem")(keras.layers.Conv2D(4, 3, padding="same")(inputs))
    near = keras.layers.ReLU(name="near")(keras.layers.Conv2D(5, 3, strides=2, padding="same")(stem))
    far = keras.layers.ReLU(name="far")(keras.layers.Conv2D(6, 3, strides=4, padding="same")(stem))
    joined = keras.layers.Concatenate()(
        [keras.layers.GlobalMaxPooling2D()(near), keras.layers.GlobalAveragePooling2D()(far)]
    )
    assert stages_of(Classifier("two looks", keras.Model(inputs, keras.layers.Dense(3)(joined)))) == {
        "stem",
        "near",
        "far",
    }


@pytest.mark.parametrize(("count", "expected"), [(8, {f"arm{k}" for k in range(8)}), (9, {"arm8"})])
def test_up_to_eight_arms_have_a_layer_each_and_more_have_one_for_each_stage(count, expected):
    inputs = keras.Input((20, 16, 3))
    arms = [
        keras.layers.Conv2D(k + 2, 3, activation="relu", name=f"arm{k}", padding="same")(inputs) for k in range(count)
    ]
    joined = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(x) for x in arms])
    assert stages_of(Classifier("many arms", keras.Model(inputs, keras.layers.Dense(3)(joined)))) == expected
