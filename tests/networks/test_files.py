"""A network of one's own in a file, and its class names."""

import json
import struct
import zipfile

import keras
import numpy as np
import pytest
from tiny_networks import small_model

from gradcam_core.errors import NetworkError, SettingError
from gradcam_core.networks import loading


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


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
        ("object.json", b'{"cat": [0]}', "the indices 0 to 0, each once"),
        ("number.json", b"7", "one class name for each output"),
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
    with pytest.raises(SettingError, match="VGG16"):
        loading.load(model_file, preprocess="VGG61")


def test_a_changed_file_is_loaded_anew(model_file, loads):
    first = loading.load(model_file, labels=["a", "b", "c"], progress=loads)
    assert loading.load(model_file, labels=["a", "b", "c"], progress=loads) is first
    assert loading.load(model_file, labels=["a", "b", "x"], progress=loads) is not first
    small_model(classes=2).save(model_file)
    assert len(loading.load(model_file, progress=loads).labels) == 2
    assert len(loads) == 3


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


def unbuildable_file(folder):
    @keras.saving.register_keras_serializable(package="tests")
    class Scale(keras.layers.Layer):
        def __init__(self, factor, **settings):
            super().__init__(**settings)
            self.factor = factor

        def call(self, x):
            return x * self.factor

        def get_config(self):  # forgets the factor
            return super().get_config()

    path = folder / "unbuildable.keras"
    keras.Sequential([keras.Input((16, 16, 3)), Scale(2.0), *small_model().layers]).save(path)
    return path


def keras_2_file(folder):
    """A description that Keras 3 does not know, and the version that Keras 2 writes beside it."""
    path = folder / "two.keras"
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        described = {"module": "keras.src.engine.functional", "class_name": "Functional", "config": {}}
        members.writestr("config.json", json.dumps({**described, "registered_name": "Functional"}))
        members.writestr("model.weights.h5", b"")
    return path


def saved_model_layer_file(folder):
    small_model().export(str(folder / "inside"), verbose=False)
    path = folder / "tfsm.keras"
    layer = keras.layers.TFSMLayer(str(folder / "inside"), call_endpoint="serve")
    keras.Sequential([keras.Input((16, 16, 3)), layer]).save(path)
    return path


def foreign_file(folder, name):
    path = folder / name
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("data.pkl", b"")
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
        (flipped_file, "flipped.keras cannot be put together"),
        (longer_file, "longer.keras cannot be put together"),
        (text_file, "is damaged, or was not saved by Keras"),
        (older_file, "older.h5 cannot be put together"),
        (saved_model_folder, "is a SavedModel"),
        (lambda folder: folder, "is a folder"),
        (unbuildable_file, r"put together: .*Scale.__init__\(\) missing 1 required positional argument: 'factor'"),
        (keras_2_file, r"saved by Keras 2\.15\.0.*network\.h5"),
        (saved_model_layer_file, "holds a SavedModel"),
        (lambda folder: foreign_file(folder, "best.pt"), "a file of PyTorch"),
        (lambda folder: foreign_file(folder, "best.ONNX"), "a file of ONNX"),
        (lambda folder: foreign_file(folder, "best.tflite"), "a file of TensorFlow Lite"),
        (lambda folder: foreign_file(folder, "best.zip"), "an archive without a network"),
        (no_image_classifier_file, "an image of shape"),
    ],
)
def test_a_file_that_cannot_be_explained_gets_its_sentence(tmp_path, make, sentence):
    path = make(tmp_path)
    with pytest.raises(NetworkError, match=sentence) as caught:
        loading.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(NetworkError, match=sentence):  # a failure is not kept
        loading.load(path)


def test_classes_that_are_given_are_found_and_another_class_is_another_network(tmp_path):
    path = foreign_class_file(tmp_path)

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    class Halved(keras.layers.Layer):
        def call(self, inputs):
            return inputs / 2

    given = {"Doubled": Doubled}
    network = loading.load(path, custom_objects=given)
    assert loading.load(path, custom_objects=dict(given)) is network
    other = loading.load(path, custom_objects={"Doubled": Halved})
    batch = np.ones((1, 16, 16, 3), np.float32)
    assert not np.allclose(network.model(batch), other.model(batch))
    with pytest.raises(SettingError, match="custom_objects is"):
        loading.load(path, custom_objects=[Doubled])
    with pytest.raises(SettingError, match="its own class names"):
        loading.load("EfficientNetLite0", custom_objects=given)


def test_a_registered_class_is_found(tmp_path):
    path = foreign_class_file(tmp_path)

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert len(loading.load(path).labels) == 3
