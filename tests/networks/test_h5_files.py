"""Networks in .h5 files, as Keras 2 and Teachable Machine write them: read, and nothing of theirs is run."""

import base64
import json
import marshal

import h5py
import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state
from tiny_networks import noise, seeded, small_model

import gradcam_core as gc

PHOTO = noise(24, seed=1, width=20)


def as_keras_2_wrote_it(config):
    """A description by Keras 3 in the words of Keras 2, in the form that Teachable Machine's files have."""
    if isinstance(config, list):
        return [as_keras_2_wrote_it(one) for one in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return "float32"
    if config.get("class_name") == "__keras_tensor__":
        return [*config["config"]["keras_history"], {}]
    told = {name: as_keras_2_wrote_it(value) for name, value in config.items()}
    for added in ("module", "registered_name", "build_config"):
        told.pop(added, None)
    kind, settings = told.get("class_name"), told.get("config")
    if kind in ("Model", "Functional", "Sequential"):
        for name in ("input_layers", "output_layers"):
            if name in settings:
                settings[name] = [settings[name]]
    if "inbound_nodes" in told:
        told["inbound_nodes"] = [node["args"] if isinstance(node["args"][0][0], str) else node["args"][0]
                                 for node in told["inbound_nodes"]]  # fmt: skip
    if isinstance(settings, dict) and "batch_shape" in settings:
        settings["batch_input_shape"] = settings.pop("batch_shape")
    if kind == "DepthwiseConv2D":
        settings["groups"] = 1
    if kind == "SeparableConv2D":
        settings |= {"groups": 1, "kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None}
    if kind == "Conv2DTranspose":
        settings["groups"] = 1
    if kind == "BatchNormalization":
        settings["axis"] = [3]
    return told


def described_anew(path, change):
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"])))
    return path


def as_late_keras_2_wrote_it(config):
    """The same in the form of TensorFlow 2.13 to 2.15: nested layers say which module they are of."""

    def told(one, is_inside):
        if isinstance(one, list):
            return [told(x, is_inside) for x in one]
        if not isinstance(one, dict):
            return one
        kind = one.get("class_name")
        if is_inside and kind and kind != "Sequential":
            module = "keras.src.engine.functional" if kind == "Functional" else "keras.layers"
            one = one | {"module": module, "registered_name": kind if kind == "Functional" else None}
        return {name: told(value, is_inside or kind is not None) for name, value in one.items()}

    return told(as_keras_2_wrote_it(config), False)


def teachable_machine(folder, change=as_keras_2_wrote_it):
    """The form of their files: a Sequential of a Sequential with a network in it, and a Sequential of two layers."""
    inputs = keras.Input((24, 20, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False, name="Conv1")(inputs)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = keras.layers.SeparableConv2D(4, 3, padding="same")(x)
    x = keras.layers.Conv2DTranspose(5, 2, name="up")(keras.layers.Add()([x, y]))
    features = keras.Sequential([keras.Model(inputs, x, name="features"), keras.layers.GlobalAveragePooling2D()])
    head = keras.Sequential([keras.Input((5,)), keras.layers.Dense(6, "relu"), keras.layers.Dense(3, "softmax")])
    model = seeded(keras.Sequential([keras.Input((24, 20, 3)), features, head]))
    path = folder / "keras_model.h5"
    model.save(path)
    (folder / "labels.txt").write_text("0 cat\n1 big dog\n2 emu\n")
    return model, described_anew(path, change)


@pytest.mark.parametrize("change", [as_keras_2_wrote_it, as_late_keras_2_wrote_it])
def test_a_file_of_teachable_machine_is_read_with_its_labels(tmp_path, change):
    model, path = teachable_machine(tmp_path, change)
    with pytest.raises(Exception, match=r"groups|Functional"):  # what its settings mean to Keras 3 itself
        keras.models.load_model(path)
    network = gc.load(path, labels=tmp_path / "labels.txt", preprocess="-1..1")
    assert [label.name for label in network.labels] == ["cat", "big dog", "emu"]
    expected = model(network.to_input(PHOTO)).numpy()[0]
    assert {one.index: one.probability for one in network.predict(PHOTO)} == pytest.approx(dict(enumerate(expected)))
    assert not all(one.is_empty for one in gc.explain(network, PHOTO, "emu", "all").maps.values())


def test_an_old_file_with_another_suffix_is_known_by_its_content(tmp_path):
    model, path = teachable_machine(tmp_path)
    for name in ("capitals.H5", "as_keras_2_named_it.keras"):
        other = tmp_path / name
        other.write_bytes(path.read_bytes())
        network = gc.load(other)
        np.testing.assert_array_equal(network.model(network.to_input(PHOTO)), model(network.to_input(PHOTO)))
    small_model().save(tmp_path / "a.keras")
    (tmp_path / "a.keras").rename(tmp_path / "B.KERAS")
    assert len(gc.load(tmp_path / "B.KERAS").labels) == 3


def test_a_first_layer_that_tells_the_shape_is_enough(tmp_path):
    model = small_model()
    model.save(tmp_path / "plain.h5")

    def without_input(config):
        told = as_keras_2_wrote_it(config)
        (first, *others) = told["config"]["layers"]
        others[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
        told["config"]["layers"] = others
        return told

    network = gc.load(described_anew(tmp_path / "plain.h5", without_input))
    assert network.input_size == (16, 16)
    np.testing.assert_array_equal(network.model(network.to_input(PHOTO)), model(network.to_input(PHOTO)))


@pytest.fixture
def code_is_allowed():
    """Keras, told by the caller to run whatever a file brings."""
    keras.config.enable_unsafe_deserialization()
    yield
    global_state.set_global_attribute("safe_mode_saving", None)


def with_code(form, written):
    """A Lambda layer's function, as a file holds it, which writes a file when it is called."""
    code = compile(f"lambda x: open({str(written)!r}, 'w').close() or x", "", "eval").co_consts[0]
    text = base64.b64encode(marshal.dumps(code)).decode()
    if form == "list":
        return [text, None, None]
    return {"class_name": "__lambda__", "config": {"code": text, "defaults": None, "closure": None}}


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("form", ["list", "__lambda__"])
def test_code_in_a_file_is_not_run(tmp_path, code_is_allowed, form, is_nested):
    """Not even where the caller has allowed it to Keras: what is loaded here is another file."""
    written, path = tmp_path / "written", tmp_path / "lambda.h5"
    lambda_layer = keras.layers.Lambda(lambda x: x)
    inner = keras.Sequential([keras.Input((16, 16, 3)), lambda_layer], name="inner")
    keras.Sequential([keras.Input((16, 16, 3)), inner if is_nested else lambda_layer, *small_model().layers]).save(path)

    def change(config):
        def planted(one):
            if isinstance(one, list):
                return [planted(x) for x in one]
            if not isinstance(one, dict):
                return one
            if one.get("class_name") == "Lambda":
                one["config"] |= {"function": with_code(form, written), "function_type": "lambda"}
                return one
            return {name: planted(value) for name, value in one.items()}

        return planted(as_keras_2_wrote_it(config))

    described_anew(path, change)
    with pytest.raises(gc.NetworkError, match="code of its own"):
        gc.load(path)
    assert not written.exists()


def test_code_in_a_keras_file_is_not_run_either(tmp_path, code_is_allowed):
    path = tmp_path / "lambda.keras"
    keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x), *small_model().layers]).save(path)
    with pytest.raises(gc.NetworkError, match="code of its own"):
        gc.load(path)


@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.h5"])
def test_weights_alone_are_refused(tmp_path, name):
    path = tmp_path / name
    if name == "mine.h5":
        small_model().save(path)
        with h5py.File(path, "r+") as file:
            del file.attrs["model_config"]
    else:
        small_model().save_weights(path)
    with pytest.raises(gc.NetworkError, match="weights alone"):
        gc.load(path)


def test_the_loss_in_a_file_says_what_its_outputs_are(tmp_path):
    for suffix in (".h5", ".keras"):
        for loss, measures in (("mse", "value"), (None, "probability")):
            model = small_model()
            if loss:
                model.compile("adam", loss)
            path = tmp_path / f"{measures}{suffix}"
            model.save(path)
            assert gc.load(path).measures == measures
