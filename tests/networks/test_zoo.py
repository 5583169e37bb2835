"""The networks: what Keras offers and ours agree; names, files, class names; each loaded once."""

import importlib
import inspect
import json
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from applications import application

from gradcam_core.errors import NetworkError, SettingError
from gradcam_core.networks import loading, zoo
from gradcam_core.networks.classifier import Classifier

APPLICATIONS = [name for name in zoo.NETWORKS if hasattr(keras.applications, name)]


def small_model(side=16, classes=3):
    return keras.Sequential(
        [
            keras.Input((side, side, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="mean"),
            keras.layers.Dense(classes, name="scores"),
        ]
    )


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "mine.keras"
    small_model().save(path)
    return path


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def loads():
    """A progress callback that collects the starts of a loading."""

    class Loads(list):
        def __call__(self, stage, done, total):
            if stage == "load" and done == 0:
                self.append(stage)

    return Loads()


def test_every_classifier_of_keras_is_in_the_list():
    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    assert set(APPLICATIONS) == {name for name, _ in functions} == set(zoo.NETWORKS) - {zoo.DEFAULT}


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_list_agrees_with_keras(name, monkeypatch):
    """Input side, parameters, and the file, address and digest that Keras itself would fetch."""
    monkeypatch.delenv("GRADCAM_WEIGHTS_URL", raising=False)
    entry = zoo.NETWORKS[name]
    keras_own = application(name)
    assert keras_own.asked == {
        "fname": entry.weights.name,
        "origin": entry.weights.url,
        "cache_subdir": "models",
    } | ({"file_hash": entry.weights.digest} if entry.weights.digest else {})
    assert keras_own.model.count_params() == entry.parameters
    assert keras_own.model.input_shape[1] in (entry.input_side, None)  # MobileNetV3 takes any size
    assert keras_own.model.output_shape == (None, 1000)
    assert loading._preprocessing(name) is importlib.import_module(entry.module).preprocess_input


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


def test_a_keras_file_gives_the_models_own_scores(model_file, photo):
    network = loading.load(model_file, labels=["cat", ("n02084071", "dog"), "bird"])
    assert network.name == "mine"
    assert [label.name for label in network.labels] == ["cat", "dog", "bird"]
    assert network.labels[1].wordnet_id == "n02084071"
    scores = keras.models.load_model(model_file)(network.to_input(photo)).numpy()[0]
    probabilities = np.exp(scores) / np.exp(scores).sum()
    assert len(set(probabilities)) == 3
    for prediction in network.predict(photo):
        assert prediction.probability == pytest.approx(probabilities[prediction.index], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "cat\nn02084071 dog\nbig bird\n\n"),
        ("names.json", json.dumps(["cat", ["n02084071", "dog"], "big bird"])),
    ],
)
def test_class_names_come_from_a_file(model_file, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8-sig")
    labels = loading.load(str(model_file), labels=path).labels
    assert [(label.wordnet_id, label.name) for label in labels] == [
        (None, "cat"),
        ("n02084071", "dog"),
        (None, "big bird"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("absent.txt", None, "no such file"),
        ("two.txt", b"cat\ndog\n", "3 classes, but 2 names"),
        ("hole.txt", b"cat\n\nbird\n", "Entry 1 "),
        ("latin.txt", b"caf\xe9\n", "not UTF-8"),
        ("broken.json", b'["cat", ', "not JSON"),
        ("object.json", b'{"cat": 0}', "one class name for each output"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(model_file, tmp_path, name, content, sentence):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError, match=sentence):
        loading.load(model_file, labels=path)


def test_preprocessing_is_a_function_or_a_networks_name(model_file, photo):
    plain = loading.load(model_file).to_input(photo)
    halved = loading.load(model_file, preprocess=np.sqrt).to_input(photo)
    assert np.allclose(halved, np.sqrt(plain))
    vgg = loading.load(model_file, preprocess="vgg16").to_input(photo)
    assert np.allclose(vgg, plain[..., ::-1] - [103.939, 116.779, 123.68], atol=1e-4)
    with pytest.raises(NetworkError, match="VGG16"):
        loading.load(model_file, preprocess="VGG61")


def test_a_changed_file_is_loaded_anew(model_file, loads):
    first = loading.load(model_file, labels=["a", "b", "c"], progress=loads)
    assert loading.load(model_file, labels=["a", "b", "c"], progress=loads) is first
    assert loading.load(model_file, labels=["a", "b", "x"], progress=loads) is not first
    small_model(classes=2).save(model_file)
    assert len(loading.load(model_file, progress=loads).labels) == 2
    assert len(loads) == 3


def test_input_size_can_be_chosen_for_a_model_that_takes_any(tmp_path):
    path = tmp_path / "any.keras"
    small_model(side=None).save(path)
    assert loading.load(path).input_size == (224, 224)
    assert loading.load(path, input_size=(48, 32)).input_size == (48, 32)


def lambda_file(folder):
    path = folder / "lambda.keras"
    model = small_model()
    keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x * 2), *model.layers]).save(path)
    return path


def foreign_class_file(folder):
    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    path = folder / "foreign.keras"
    keras.Sequential([keras.Input((16, 16, 3)), Doubled(), *small_model().layers]).save(path)
    return path


def half_file(folder):
    path = folder / "half.keras"
    small_model().save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def flipped_file(folder):
    path = folder / "flipped.keras"
    small_model().save(path)
    content = bytearray(path.read_bytes())
    content[200:600] = bytes(400)
    path.write_bytes(content)
    return path


def longer_file(folder):
    path = folder / "longer.keras"
    small_model().save(path)
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"config.json") - 46  # in the zip's directory
    content[entry + 20 : entry + 28] = struct.pack("<II", 1 << 28, 1 << 28)  # claims more bytes than there are
    path.write_bytes(content)
    return path


def text_file(folder):
    path = folder / "text.keras"
    path.write_text("no network")
    return path


def older_file(folder):
    path = folder / "older.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    return path


def saved_model_folder(folder):
    path = folder / "saved_model"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"")
    return path


def no_image_classifier_file(folder):
    path = folder / "table.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    return path


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: folder / "absent.keras", "absent.keras cannot be opened: no such file"),
        (lambda_file, "code of its own"),
        (foreign_class_file, "'Doubled', which Keras does not know"),
        (half_file, "is damaged"),
        (flipped_file, "flipped.keras cannot be read"),
        (longer_file, "longer.keras cannot be read"),
        (text_file, "is damaged, or was not saved by Keras 3"),
        (older_file, "not a .keras file"),
        (saved_model_folder, "not a .keras file"),
        (no_image_classifier_file, "RGB image"),
    ],
)
def test_a_file_that_cannot_be_explained_gets_its_sentence(tmp_path, make, sentence):
    path = make(tmp_path)
    with pytest.raises(NetworkError, match=sentence) as caught:
        loading.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(NetworkError, match=sentence):  # a failure is not kept
        loading.load(path)


def test_a_registered_class_is_found(tmp_path):
    path = foreign_class_file(tmp_path)

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert len(loading.load(path).labels) == 3


def test_two_threads_load_once(model_file, loads):
    at_once = threading.Barrier(4)

    def load(_):
        at_once.wait()
        return loading.load(model_file, progress=loads)

    with ThreadPoolExecutor(4) as threads:
        networks = list(threads.map(load, range(4)))
    assert all(network is networks[0] for network in networks)
    assert len(loads) == 1


def test_what_progress_raises_ends_the_loading_and_is_not_kept(model_file):
    def cancel(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loading.load(model_file, progress=cancel)
    assert isinstance(loading.load(model_file), Classifier)


def test_only_the_last_networks_stay_when_nobody_holds_them(tmp_path, monkeypatch, loads):
    paths = [tmp_path / name for name in ("one.keras", "two.keras", "three.keras")]
    for path in paths:
        small_model().save(path)
    monkeypatch.setattr(loading, "_recent", type(loading._recent)())
    monkeypatch.setattr(loading, "MEMORY", 8e-6 * small_model().count_params())
    held = loading.load(paths[0])
    for path in paths[1:]:
        loading.load(path)
    assert [network.name for network in loading._recent.values()] == ["two", "three"]
    assert loading.load(paths[0], progress=loads) is held  # still in use, so still the same
    assert loads == []
    loading.keep_in_memory(0)
    assert [network.name for network in loading._recent.values()] == ["one"]  # the last one stays in any case
    with pytest.raises(SettingError, match="a number of megabytes, 0 or more, not -1"):
        loading.keep_in_memory(-1)
