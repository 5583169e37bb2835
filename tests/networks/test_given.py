"""What is given in a network's place: what has one meaning works, the rest gets a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from tiny_networks import noise, small_model

import gradcam_core as gc
from gradcam_core import trust

PHOTO = noise(16, seed=4, width=24)


@pytest.fixture(scope="module")
def model():
    return small_model()


def test_a_model_a_name_or_a_path_can_be_explained_at_once(model, tmp_path):
    model.save(tmp_path / "mine.keras")
    expected = gc.explain(gc.Classifier("own", model), PHOTO).maps["conv"].raw
    for given in (model, tmp_path / "mine.keras", str(tmp_path / "mine.keras"), gc.load(model)):
        np.testing.assert_allclose(gc.explain(given, PHOTO).maps["conv"].raw, expected, atol=1e-6)
        (found,) = gc.explain_classes(given, PHOTO, [1])
        assert found.target.index == 1
    assert gc.explain("efficientnetlite0", PHOTO, "banana", "last").target.name == "banana"


def test_layers_and_tests_take_what_an_explanation_takes(model, tmp_path):
    model.save(tmp_path / "mine.keras")
    network = gc.load(tmp_path / "mine.keras")
    heat = gc.explain(network, PHOTO, 1).maps["conv"].heat
    found = gc.explain(model, PHOTO, 1)
    for given in (model, tmp_path / "mine.keras"):
        assert [layer.name for layer in gc.select(given, "last")] == ["conv"]
        assert [layer.name for layer in gc.summary(given)] == [layer.name for layer in network.layers]
        assert gc.summary_table(given) == gc.summary_table(network)
        np.testing.assert_array_equal(
            trust.perturbation_curves(given, PHOTO, 1, heat, steps=3).deletion,
            trust.perturbation_curves(network, PHOTO, 1, heat, steps=3).deletion,
        )
        assert trust.hide_hottest(given, PHOTO, 1, heat).target == trust.hide_hottest(network, PHOTO, 1, heat).target
        assert trust.keep_hottest(given, PHOTO, 1, heat) == trust.keep_hottest(network, PHOTO, 1, heat)
        assert trust.sanity_check(given, PHOTO, 1, draws=1).passes.keys() == {"conv"}
    assert trust.assess(model, found, steps=2).maps.keys() == {"conv"}
    with pytest.raises(gc.NetworkError, match="There is no network"):
        trust.keep_hottest("nonesuch", PHOTO, 1, heat)


def test_a_model_is_loaded_with_what_goes_with_it(model):
    network = gc.load(model, labels={"b": 1, "a": 0, "c": 2}, preprocess="0..1")
    assert (network.name, network.resolve_target("b")) == (model.name, 1)
    assert network.to_input(PHOTO).max() <= 1


def test_a_model_that_was_changed_is_explained_as_it_is_now():
    """As people take the softmax away before they explain: nothing that was traced before is shown."""
    model = keras.Sequential([*small_model().layers[:-1], keras.layers.Dense(3, "softmax", name="head")])
    model.build((None, 16, 16, 3))
    first = gc.explain(model, PHOTO).target.probability
    model.get_layer("head").activation = keras.activations.sigmoid
    second = gc.explain(model, PHOTO).target.probability
    own = float(model(gc.load(model).to_input(PHOTO)).numpy().max())
    assert second == pytest.approx(own, abs=1e-6) != pytest.approx(first, abs=1e-3)


def test_predict_takes_what_a_photo_can_be(model, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), PHOTO[..., ::-1])
    network = gc.load(model)
    for photo in (tmp_path / "photo.png", str(tmp_path / "photo.png"), (tmp_path / "photo.png").read_bytes()):
        assert network.predict(photo) == network.predict(PHOTO)
    with pytest.raises(gc.PhotoError, match="There is no file"):
        network.predict("absent.jpg")


class OfKeras2:
    """As a model of the package tf_keras says where it comes from."""

    __module__ = "tf_keras.src.engine.functional"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "NoneType is None, and not a model of Keras 3"),
        (7, "int is 7, and not a model"),
        (np.zeros(3), "an object of numpy.ndarray, and not a model"),
        (keras.layers.Conv2D(2, 3, name="conv"), "conv is an object of keras.*Conv2D, and not a model"),
        (small_model, "and not a model of Keras 3"),
        (OfKeras2(), r"a model of Keras 2 \(tf_keras\).*network\.h5"),
        ("no such network", "There is no network 'no such network'"),
        ("best.pt", "best.pt cannot be opened: no such file"),
        ("best.tflite", "best.tflite cannot be opened: no such file"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_anything_else_gets_a_sentence_from_every_door(given, sentence):
    for door in (
        lambda: gc.load(given),
        lambda: gc.explain(given, PHOTO),
        lambda: gc.explain_classes(given, PHOTO, [0]),
    ):
        with pytest.raises(gc.NetworkError, match=sentence):
            door()


def test_a_network_that_is_loaded_needs_no_loading(model):
    with pytest.raises(gc.NetworkError, match="is loaded already"):
        gc.load(gc.load(model))


def test_arguments_in_the_wrong_order_are_seen(model):
    with pytest.raises(gc.NetworkError, match=r"by a text, and not by an object.*Classifier\(name, model\)"):
        gc.Classifier(model, "own")


def test_another_backend_of_keras_is_a_sentence_from_every_door(tmp_path):
    """jax is not installed here, so that importing Keras fails."""
    program = """
import numpy as np, gradcam_core as gc
photo = np.zeros((9, 9, 3), np.uint8)
for door in (lambda: gc.load("VGG16"), lambda: gc.explain("VGG16", photo), lambda: gc.Classifier("a", None)):
    try:
        door()
    except gc.SettingError as error:
        print(error)
"""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(gc.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = answer.stdout.splitlines()
    assert len(lines) == 3, answer.stderr
    assert all(line.startswith("Keras is set to the backend jax, and TensorFlow is needed") for line in lines)
