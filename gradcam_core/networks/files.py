"""A network of one's own: the model in a .keras or .h5 file, put together without running code of the file's."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import NetworkError
from .keras_hub import MISSING, is_missing
from .measures import Measure, trained_for
from .zoo import NETWORKS

if TYPE_CHECKING:
    import keras

T = TypeVar("T")
SUFFIXES = (".keras", ".h5", ".hdf5")
_FOREIGN = {
    "PyTorch": (".pt", ".pth", ".ckpt", ".safetensors", ".bin"),
    "ONNX": (".onnx",),
    "TensorFlow Lite": (".tflite", ".lite"),
    "TensorFlow's graphs": (".pb", ".pbtxt"),
    "Python's pickle": (".pkl", ".pickle", ".joblib"),
    "Core ML": (".mlmodel", ".mlpackage"),
    "Caffe": (".caffemodel", ".prototxt"),
    "Darknet": (".weights", ".cfg"),
    "a description without weights": (".json", ".yaml", ".yml"),
}
_SAVE = 'Save the network with model.save("network.keras").'

# Keras 2 wrote all settings of a convolution for these, which have fewer; Keras 3 refuses what it does not know.
_FEWER_SETTINGS = {f"{kind}{n}D" for kind in ("DepthwiseConv", "SeparableConv") for n in (1, 2)}
_FEWER_SETTINGS |= {f"Conv{n}DTranspose" for n in (1, 2, 3)}
_LEFT_OVER = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")


def is_file(name: str) -> bool:
    """Whether a name means a file, and not a network of the zoo: by its suffix, or because it is a path.

    >>> is_file("VGG16"), is_file("flowers.KERAS"), is_file("models/best"), is_file("best.pt")
    (False, True, True, True)
    """
    path = Path(name)
    known = (*SUFFIXES, *(suffix for suffixes in _FOREIGN.values() for suffix in suffixes))
    is_known = name.strip().casefold() in (network.casefold() for network in NETWORKS)  # a folder may be called so
    return path.suffix.lower() in known or len(path.parts) > 1 or (bool(path.parts) and path.is_dir() and not is_known)


def read_model(path: Path, custom_objects: Mapping[str, Any] | None = None) -> tuple["keras.Model", Measure | None]:
    """The model in a .keras or .h5 file, and what its loss says of its outputs. No code of the file is run.

    What it is, its content says, whatever the suffix.

    Args:
        path: of the file.
        custom_objects: classes and functions of the caller's own by name, besides those that are registered
            (keras.saving.register_keras_serializable) or in the scope of keras.saving.custom_object_scope.

    Raises:
        NetworkError: it is of another kind or damaged, holds code, or classes that Keras does not know.
    """
    import h5py
    from keras.src.saving import serialization_lib

    try:
        if path.is_dir():
            raise NetworkError(f"{path} {_folder(path)}")
        is_zip, is_hdf5 = zipfile.is_zipfile(path), h5py.is_hdf5(path)
        if not (is_zip and "config.json" in _members(path)) and not is_hdf5:
            raise NetworkError(f"{path} {_stranger(path, is_zip)}")
        with serialization_lib.SafeModeScope(True):  # whatever the caller allows other files
            return (_from_hdf5 if is_hdf5 else _from_zip)(path, dict(custom_objects or {}))
    except NetworkError:
        raise
    except Exception as error:  # what Keras, zipfile, h5py and the constructors of anybody's layers raise
        raise NetworkError(f"{path} {_reason(path, str(error) or type(error).__name__)}.") from error


def file_of(model: "keras.Model") -> bytes:
    """A model as the content of a .keras file."""
    from keras.src.saving import saving_lib

    file = io.BytesIO()
    saving_lib.save_model(model, file)
    return file.getvalue()


def remade(make: Callable[..., T], name: str, file: bytes, settings: Mapping[str, Any]) -> T:
    """What a network is made of is put together again, perhaps in another process, which must have its classes too.

    Functions in the file are run: this is for what `file_of` gave here.
    """
    from keras.src.saving import saving_lib

    return make(name, saving_lib.load_model(io.BytesIO(file), compile=False, safe_mode=False), **settings)


def _members(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as members:
        return members.namelist()


def _from_zip(path: Path, custom_objects: dict[str, Any]) -> tuple["keras.Model", Measure | None]:
    from keras.src.saving import saving_lib

    with path.open("rb") as file:  # keras.saving.load_model takes no other suffix than ".keras"
        model = saving_lib.load_model(file, custom_objects, compile=False, safe_mode=True)
    with zipfile.ZipFile(path) as members:
        compiled = json.loads(members.read("config.json")).get("compile_config") or {}
    return model, trained_for(compiled.get("loss"))


def _from_hdf5(path: Path, custom_objects: dict[str, Any]) -> tuple["keras.Model", Measure | None]:
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    class Mended(h5py.File):
        """The file with a description of the model that Keras 3 takes."""

        @property
        def attrs(self) -> dict[str, Any]:
            known = {name: _text(value) for name, value in super().attrs.items()}
            if "model_config" in known:
                known["model_config"] = json.dumps(_mended(json.loads(known["model_config"])))
            return known

    with Mended(path, "r") as file:
        if "model_config" not in file.attrs:
            raise NetworkError(
                f"{path} holds weights alone, and not the layers that they are of. Build the network in Python, give "
                "them to it with model.load_weights(path), and give the model."
            )
        training = json.loads(file.attrs.get("training_config") or "{}")
        model = legacy_h5_format.load_model_from_hdf5(file, custom_objects, compile=False, safe_mode=True)
    return model, trained_for(training.get("loss"))


def _text(value: object) -> Any:  # noqa: ANN401
    return value.decode() if isinstance(value, bytes) else value


def _mended(config: Any) -> Any:  # noqa: ANN401
    """A description by Keras 2 as Keras 3 takes it: without settings that it does not know and that mean nothing."""
    if isinstance(config, list):
        return [_mended(one) for one in config]
    if not isinstance(config, dict):
        return config
    mended = {name: _mended(value) for name, value in config.items()}
    kind, settings = mended.get("class_name"), mended.get("config")
    if kind in ("Functional", "Model") and "engine" in str(mended.get("module")):  # where Keras 2 had them
        mended |= {"class_name": "Functional", "module": "keras.src.models.functional", "registered_name": None}
    if not isinstance(settings, dict):
        return mended
    for ends in ("input_layers", "output_layers"):  # in Keras 2 a list of one tensor is that tensor
        if isinstance(settings.get(ends), list) and len(settings[ends]) == 1:
            (settings[ends],) = settings[ends]
    if kind == "BatchNormalization" and isinstance(axis := settings.get("axis"), list) and len(axis) == 1:
        settings["axis"] = axis[0]
    if kind == "Sequential" and (layers := settings.get("layers")):
        first = layers[0]["config"]
        if layers[0]["class_name"] != "InputLayer" and "batch_input_shape" in first:
            taken = {"batch_shape": first["batch_input_shape"], "name": f"{first['name']}_input"}
            layers.insert(0, {"class_name": "InputLayer", "config": taken})
        for layer in layers[1:]:
            layer["config"].pop("batch_input_shape", None)
    if kind in _FEWER_SETTINGS and settings.get("groups", 1) == 1:
        for name in _LEFT_OVER[: 1 if "Transpose" in kind else None]:
            settings.pop(name, None)
    return mended


def _folder(path: Path) -> str:
    if (path / "saved_model.pb").exists():
        return f"is a SavedModel: a graph without its layers, which could run code. {_SAVE}"
    return f"is a folder, and no network in a file. {_SAVE}"


def _stranger(path: Path, is_zip: bool) -> str:
    suffix = path.suffix.lower()
    for kind, suffixes in _FOREIGN.items():
        if suffix in suffixes:
            return f"is a file of {kind}, and networks of Keras can be read. {_SAVE}"
    if is_zip:
        return f"is an archive without a network of Keras in it. {_SAVE}"
    return "is damaged, or was not saved by Keras."


def _reason(path: Path, text: str) -> str:
    """Why Keras could not put a network together, in one line; what it writes last is the cause."""
    if version := _keras_2(path):
        return (
            f"was saved by Keras {version}, in a form that Keras 3 does not read. Open it where it was made, and save "
            'it with model.save("network.h5"), which can be read here'
        )
    if is_missing(text):
        return MISSING
    if unknown := re.search(r"Could not locate (?:class|function) '([^']+)'|Unknown \w+: '([^']+)'", text):
        return (
            f"holds {unknown[1] or unknown[2]!r}, which Keras does not know; register it first with "
            "keras.saving.register_keras_serializable(), or give it in custom_objects"
        )
    if "TFSMLayer" in text:
        return (
            "holds a SavedModel (a TFSMLayer): a graph without its layers, which could run code. Save the network that "
            'it was made from, with model.save("network.keras")'
        )
    if "safe_mode" in text or "nsafe" in text or "ambda" in text:
        return "holds code of its own (a Lambda layer), which is not run; replace it with a layer of Keras"
    marked = re.search(r"\x1b\[1m(.*?)\x1b\[0m", text, re.DOTALL)  # in an error of a call, arguments come after it
    lines = [line.strip() for line in (marked[1] if marked else text).splitlines() if line.strip()] or [text]
    cause = lines[-1].removeprefix("Exception encountered:").strip(" .")[:300]
    return f"cannot be put together: {cause}"


def _keras_2(path: Path) -> str | None:
    """The version of Keras 2 that saved a .keras file; None where it was none."""
    try:
        with zipfile.ZipFile(path) as members:
            version = str(json.loads(members.read("metadata.json"))["keras_version"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    return version if version.startswith("2.") else None
