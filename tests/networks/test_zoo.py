"""The networks that are known by name."""

import numpy as np
import pytest
from tiny_networks import small_model

from gradcam_core.errors import NetworkError, SettingError
from gradcam_core.networks import loading, zoo


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def test_megabytes_are_four_bytes_a_parameter():
    assert zoo.NETWORKS["VGG16"].megabytes == 553
    assert zoo.NETWORKS["MobileNetV2"].megabytes == 14


def test_layer_names_do_not_depend_on_what_was_built_before():
    entry = zoo.NETWORKS["Xception"]
    names = [[layer.name for layer in loading.build(entry).layers] for _ in range(2)]
    assert names[0] == names[1]
    assert "add_11" in names[0]
    assert "conv2d" in names[0]


def test_names_are_found_in_any_case():
    assert zoo.find("vgg16").name == "VGG16"
    assert zoo.find(" EFFICIENTNETV2B0 ").name == "EfficientNetV2B0"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(NetworkError, match=r"'ResNet5'.* ResNet50"):
        loading.load("ResNet5")
    with pytest.raises(NetworkError, match="no network 'zzzzzz'"):
        loading.load("zzzzzz")
    with pytest.raises(NetworkError, match="no network ''"):
        loading.load("")


def test_a_network_that_is_gone_is_answered_with_what_took_its_place():
    for name in ("bundled", " Bundled"):
        with pytest.raises(NetworkError, match=r"'bundled' is gone; EfficientNetLite0 took its place"):
            loading.load(name)


def test_imagenet_names_are_complete_and_in_order():
    labels = zoo.imagenet_labels()
    assert len(labels) == 1000
    assert labels[0] == ("n01440764", "tench")
    assert labels[468] == ("n02930766", "cab")
    assert labels[999] == ("n15075141", "toilet tissue")
    assert [label[0] for label in labels] == sorted(label[0] for label in labels)
    assert len({label[0] for label in labels}) == 1000


def test_the_first_network_is_here_without_a_download(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "none"))
    entry = next(iter(zoo.NETWORKS.values()))
    assert zoo.weights_here(entry.name)
    network = loading.load(entry.name)
    assert network.input_size == (entry.input_side, entry.input_side)
    assert network.parameters == entry.parameters
    assert network.labels[779].name == "school bus"
    assert len(network.predict(photo)) == 5
    assert not (tmp_path / "none").exists()


def test_random_weights_need_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "none"))
    network = loading.load("mobilenetv3small", weights=None)
    assert network.name == "MobileNetV3Small"
    assert network.input_size == (224, 224)
    assert network.resolve_target("n04146614") == 779
    assert network.parameters == zoo.NETWORKS["MobileNetV3Small"].parameters
    assert network is loading.load("MobileNetV3Small", weights=None)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("VGG16", {"weights": "random"}),
        ("VGG16", {"labels": ["cat", "dog"]}),
        ("EfficientNetLite0", {"preprocess": "VGG16"}),
        ("VGG16", {"input_size": (64, 64)}),
    ],
)
def test_arguments_that_do_not_go_with_a_network_are_refused(name, arguments):
    with pytest.raises(SettingError):
        loading.load(name, **arguments)


def test_input_size_can_be_chosen_for_a_model_that_takes_any(tmp_path):
    path = tmp_path / "any.keras"
    small_model(side=None).save(path)
    assert loading.load(path).input_size == (224, 224)
    assert loading.load(path, input_size=(48, 32)).input_size == (48, 32)
