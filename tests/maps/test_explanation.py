"""From a photo to the result and its files."""

import dataclasses
import json

import cv2
import keras
import numpy as np
import psutil
import pytest
from tiny_networks import cam_network, colour_network, deep_network, noise, staged_network

from gradcam_core import GradcamError, SettingError, TargetError, explain, explain_classes, overlay
from gradcam_core.networks.classifier import Classifier


def test_an_explanation_holds_predictions_target_and_a_map_of_each_layer_in_network_order():
    network = deep_network()
    photo = noise(40)
    result = explain(network, photo, target=2, layers=["relu3", "conv1"], top=3)
    assert list(result.maps) == ["conv1", "relu3"]
    assert [p.index for p in result.predictions] == [p.index for p in network.predict(photo, 3)]
    assert result.target.index == 2
    assert result.target.probability == pytest.approx(float(network.model(network.to_input(photo))[0, 2]), abs=1e-6)
    np.testing.assert_array_equal(result.photo, photo)
    heat_map = result.maps["conv1"]
    assert heat_map.raw.dtype == heat_map.heat.dtype == np.float32
    assert heat_map.raw.shape == heat_map.heat.shape == (16, 16)
    assert heat_map.heat.max() == 1
    assert heat_map.peak == heat_map.raw.max()
    np.testing.assert_allclose(heat_map.heat, np.maximum(heat_map.raw, 0) / heat_map.raw.max(), rtol=1e-6)
    assert {"tensorflow", "keras", "opencv", "numpy", "gradcam-explorer"} <= set(result.versions)


def test_without_a_target_the_most_probable_class_is_explained():
    result = explain(deep_network(), noise())
    assert result.target == result.predictions[0]


def test_all_negative_evidence_is_an_empty_map_of_exact_zeros():
    blue = np.zeros((12, 12, 3), np.uint8)
    blue[..., 2] = 255
    heat_map = explain(colour_network(), blue, "red").maps["conv"]
    assert heat_map.raw.max() < 0
    assert heat_map.is_empty
    assert heat_map.peak == 0
    np.testing.assert_array_equal(heat_map.heat, np.zeros((12, 12), np.float32))


def test_a_network_that_ignores_a_layer_leaves_its_map_empty():
    network = cam_network()
    kernel, bias = network.model.get_layer("head").get_weights()
    network.model.get_layer("head").set_weights([kernel * 0, bias])
    heat_map = explain(network, noise(12)).maps["relu"]
    assert heat_map.is_empty
    assert not np.isnan(heat_map.heat).any()


def test_the_smallest_evidence_still_peaks_at_one_without_overflow():
    network = colour_network()
    kernel, bias = network.model.get_layer("head").get_weights()
    whole = explain(network, noise(12), 0).maps["conv"]
    network.model.get_layer("head").set_weights([kernel * 1e-30, bias])
    tiny = explain(network, noise(12), 0).maps["conv"]
    assert 0 < tiny.peak < 1e-29
    assert not tiny.is_empty
    assert tiny.heat.max() == 1
    np.testing.assert_allclose(tiny.heat, whole.heat, atol=1e-6)


def test_a_result_cannot_be_changed():
    result = explain(deep_network(), noise())
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.network = "other"
    with pytest.raises(TypeError):
        result.maps["conv1"] = None


def test_save_writes_overlays_heat_maps_raw_maps_and_a_manifest(tmp_path):
    photo = cv2.resize(noise(8), (90, 70), interpolation=cv2.INTER_LINEAR)
    result = explain(deep_network(), photo)
    manifest = result.save(tmp_path / "new" / "folder", opacity=0.6, colormap="viridis")
    content = json.loads(manifest.read_text())
    folder = manifest.parent

    assert [entry["layer"] for entry in content["maps"]] == list(result.maps)
    assert content["target"]["index"] == result.target.index
    assert content["display"] == {"opacity": 0.6, "colormap": "viridis", "mode": "alpha", "highest": None}
    files = {"manifest.json", "maps.npz", "contact_sheet.jpg"}
    files |= {entry[kind] for entry in content["maps"] for kind in ("overlay", "heat")}
    assert {path.name for path in folder.iterdir()} == files
    raw = np.load(folder / content["raw"])
    for entry in content["maps"]:
        np.testing.assert_array_equal(raw[entry["layer"]], result.maps[entry["layer"]].raw)
        saved = cv2.imread(str(folder / entry["overlay"]))[..., ::-1]
        expected = overlay(photo, result.maps[entry["layer"]].heat, opacity=0.6, colormap="viridis")
        assert saved.shape == photo.shape
        assert np.abs(saved.astype(int) - expected).mean() < 4  # JPEG


def test_layers_of_a_nested_network_are_saved_under_safe_file_names(tmp_path):
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="a")], name="in")
    twin = keras.layers.Conv2D(2, 3, name="in_a")
    model = keras.Sequential([keras.Input((8, 8, 3)), inner, twin, keras.layers.Flatten(), keras.layers.Dense(2)])
    result = explain(Classifier("nested", model), noise(8), layers="all")
    content = json.loads(result.save(tmp_path).read_text())
    assert [entry["layer"] for entry in content["maps"]] == ["in/a", "in_a"]
    assert len({entry["overlay"].casefold() for entry in content["maps"]}) == 2
    assert set(np.load(tmp_path / "maps.npz")) == {"in/a", "in_a"}


def test_the_manifest_says_what_was_asked_and_holds_the_fused_map(tmp_path):
    asked = {"method": "hirescam", "weight": 0.5, "against": True, "smoothing": "flips"}
    result = explain(deep_network(), noise(), 2, instead_of=1, **asked)
    content = json.loads(result.save(tmp_path, fusion="product").read_text())
    assert {name: content[name] for name in asked} == asked
    assert content["instead_of"] == vars(result.instead_of)
    assert content["instead_of"]["index"] == 1
    assert cv2.imread(str(tmp_path / content["fused"])).shape == result.photo.shape
    for wrong, sentence in (({"fusion": "sum"}, "'maximum' or 'product', not 'sum'"), ({"opacity": 2}, "pacity")):
        with pytest.raises(SettingError, match=sentence):
            explain(deep_network(), noise(), 3).save(tmp_path, **wrong)
    assert json.loads((tmp_path / "manifest.json").read_text()) == content  # what was there is whole
    plain = json.loads(explain(deep_network(), noise(), 2).save(tmp_path / "plain").read_text())
    assert plain["instead_of"] is plain["fused"] is None
    assert not plain["against"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GradcamError, match="cannot be written"):
        explain(deep_network(), noise()).save(tmp_path / "file")


def test_a_failed_save_leaves_no_manifest_behind(tmp_path):
    result = explain(deep_network(), noise())
    result.save(tmp_path)
    (tmp_path / "contact_sheet.jpg").unlink()
    (tmp_path / "contact_sheet.jpg").mkdir()  # in the way
    with pytest.raises(GradcamError, match="cannot be written"):
        result.save(tmp_path)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("top", [0, -1, 2.5, "5", True])
def test_the_number_of_predictions_is_checked(top):
    with pytest.raises(SettingError, match="whole number"):
        explain(deep_network(), noise(), top=top)


def test_a_thousand_explanations_hold_no_memory():
    network = staged_network(classes=100)
    photo = noise(200)
    process = psutil.Process()
    for i in range(1000):
        explain(network, photo, target=i % 100)
        if i == 100:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < 50 * 2**20


def test_several_classes_are_explained_at_once_in_the_order_they_are_given():
    network = staged_network()
    photo = noise(90)
    results = explain_classes(network, photo, ["class 5", None, 3], "all")
    for result, target in zip(results, ["class 5", None, 3], strict=True):
        alone = explain(network, photo, target, "all")
        assert result.target == alone.target
        assert list(result.maps) == list(alone.maps)
        for name, heat_map in alone.maps.items():
            np.testing.assert_allclose(result.maps[name].raw, heat_map.raw, atol=1e-4 * np.abs(heat_map.raw).max())
    with pytest.raises(TargetError, match="a list of at least one"):
        explain_classes(network, photo, [])
