"""Audits of networks that are no ordinary classifiers of photos: values, classes for each pixel, other channels."""

import keras
import numpy as np
import pytest
from audited import CLASSES, by_photo, class_folders, flower_model
from tiny_networks import seeded

import gradcam_core as gc
from gradcam_core.audits import rows
from gradcam_core.audits.measures import of_photo
from gradcam_core.networks.classifier import Classifier


def values(**settings):
    model = flower_model()
    return Classifier("age", keras.Model(model.inputs, keras.layers.Dense(2)(model.layers[-2].output)), **settings)


def test_of_a_network_that_gives_values_the_first_is_explained(tmp_path):
    folder = class_folders(tmp_path / "photos", {"some": 3})
    network = values(measures="value", labels=["age", "weight"])
    for name, row in by_photo(gc.audit(network, folder, tmp_path / "out", labelled=False)).items():
        expected = gc.explain(network, folder / name, layers="last")
        assert (row["predicted"], row["probability"]) == ("age", pytest.approx(expected.target.value, rel=1e-4))
        np.testing.assert_allclose(row["map"], expected.maps["conv2"].raw.ravel(), atol=1e-5)
    assert rows.read_about(tmp_path / "out").measures == "value"


def test_labels_of_classes_do_not_fit_a_network_that_gives_values(tmp_path):
    folder = class_folders(tmp_path / "photos", {"weight": 1})
    with pytest.raises(gc.SettingError, match="The folder 'weight' is a class, and this network gives values"):
        gc.audit(values(measures="value", labels=["age", "weight"]), folder, tmp_path / "out")


def test_a_network_of_classes_for_each_pixel_has_rows_of_shares(tmp_path):
    inputs = keras.Input((12, 20, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(
        keras.layers.Rescaling(1 / 99)(inputs)
    )
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="last")(x)
    network = Classifier("pixels", seeded(keras.Model(inputs, keras.layers.Conv2D(3, 1)(x)), 2), CLASSES)
    folder = class_folders(tmp_path / "photos", {"daisy": 2, "tulip": 3})
    for name, row in by_photo(gc.audit(network, folder, tmp_path / "out", layers="conv")).items():
        expected = gc.explain(network, folder / name, layers="conv")
        assert row["probability"] == pytest.approx(expected.target.share, abs=1e-5)
        np.testing.assert_allclose(row["map"], expected.maps["conv"].raw.ravel(), atol=1e-4)


def test_a_network_of_other_channels_takes_arrays(tmp_path):
    inputs = keras.Input((12, 20, 5))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    network = Classifier("five", seeded(keras.Model(inputs, outputs), 2), CLASSES, shown=(4, 2, 0))
    (tmp_path / "photos" / "daisy").mkdir(parents=True)
    array = np.random.default_rng(3).random((14, 30, 5), np.float32)
    np.save(tmp_path / "photos" / "daisy" / "a.npy", array)
    (row,) = by_photo(gc.audit(network, tmp_path / "photos", tmp_path / "out")).values()
    expected = gc.explain(network, array, layers="last")
    np.testing.assert_allclose(row["map"], expected.maps["conv"].raw.ravel(), atol=1e-5)
    assert row["brightness"] == pytest.approx(of_photo(expected.picture)["brightness"], abs=1e-5)
