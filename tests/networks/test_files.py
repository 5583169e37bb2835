"""A network of one's own in a file, and its class names."""

import json
import struct

import keras
import numpy as np
import pytest
from tiny_networks import small_model

from gradcam_core.errors import NetworkError
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


def test_a_registered_class_is_found(tmp_path):
    path = foreign_class_file(tmp_path)

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert len(loading.load(path).labels) == 3
