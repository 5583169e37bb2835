"""From a name or a file to a network that is ready to be asked; the last used ones stay in memory."""

import importlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakValueDictionary

from ..errors import NetworkError, SettingError
from .files import Labels, read_labels, read_model
from .packaged import PackagedFile
from .weights import Progress, fetch
from .zoo import Entry, find, imagenet_labels

if TYPE_CHECKING:
    import keras
    import numpy as np

    from .classifier import Classifier

# Keras is imported where it is needed: whoever only imports `load` must not wait seconds for TensorFlow.

Preprocess = Callable[["np.ndarray"], "np.ndarray"]

MEMORY: float = 2000  # megabytes (10**6 bytes) of weights that stay when nobody holds their networks any more


def load(
    name_or_path: str | os.PathLike[str],
    *,
    weights: Literal["imagenet"] | None = "imagenet",
    labels: Labels | str | os.PathLike[str] | None = None,
    preprocess: Preprocess | str | None = None,
    input_size: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> "Classifier":
    """A network, ready to be asked and explained; the same arguments give the same object.

    Args:
        name_or_path: a name of `NETWORKS` in any case, or the path of a file that ends in .keras.
        weights: "imagenet", or None for random weights (other ones in each process), to try speed and shapes.
        labels: for a .keras file: one name for each class, or (WordNet id, name) pairs, or the path of a text
            file (one "name" or "n01440764 name" a line) or of a .json file with a list of them.
        preprocess: for a .keras file: float32 RGB (1, h, w, 3) in 0..255 -> what the model takes, or the name
            of a network in `NETWORKS` whose preprocessing it is; None where the model does it itself.
        input_size: for a .keras file that takes any size: (height, width) in pixels.
        progress: called as progress(stage, done, total), with stage "download" (bytes; at most ten times a
            second) and "load" (0 and 1 of 1), and not at all for a network that is loaded already. What it
            raises ends the loading.

    Raises:
        NetworkError: the name is unknown, or the file is no image classifier that can be explained.
        WeightsError: the weights cannot be fetched, read or stored.
        SettingError: an argument that does not go with this network.

    >>> load("EfficientNetLite0") is load("efficientnetlite0")
    True
    """
    progress = _silent if progress is None else progress
    path = Path(name_or_path)
    if path.suffix.lower() in (".keras", ".h5", ".hdf5") or len(path.parts) > 1:
        if weights is None:
            raise SettingError(f"{path} brings its own weights; random ones are for the names in NETWORKS.")
        return _load_file(path, labels, preprocess, input_size, progress)
    entry = find(os.fspath(name_or_path))
    if labels is not None or preprocess is not None or input_size is not None:
        raise SettingError(f"{entry.name} has its own class names, preprocessing and input size: leave them out.")
    if weights not in ("imagenet", None):
        raise SettingError(f"weights is 'imagenet' or None (random), not {weights!r}.")
    where = entry.weights.path if weights else None
    return _once((entry.name, where), partial(_load_entry, entry, weights, progress))


def _silent(stage: str, done: float, total: float) -> None:
    pass


_guard = threading.Lock()
_locks: dict[Hashable, threading.Lock] = {}
_loaded: WeakValueDictionary[Hashable, "Classifier"] = WeakValueDictionary()
_recent: OrderedDict[Hashable, "Classifier"] = OrderedDict()


def _once(key: Hashable, make: Callable[[], "Classifier"]) -> "Classifier":
    """What ``make`` makes, made once: who asks while it is being made waits for it.

    A network stays as long as somebody holds it; the last used ones stay beyond that.
    """
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        network = _loaded.get(key)
        if network is None:
            network = make()
        with _guard:
            _loaded[key] = _recent[key] = network
            _recent.move_to_end(key)
            _forget()
    return network


def keep_in_memory(megabytes: float) -> None:
    """Set how many megabytes of weights stay loaded when nobody uses their networks any more; 2000 at first.

    The least recently used network goes first, the last one stays in any case.

    Raises:
        SettingError: it is no number, or below 0.
    """
    global MEMORY
    if isinstance(megabytes, bool) or not isinstance(megabytes, (int, float)) or not megabytes >= 0:
        raise SettingError(f"The memory for networks is a number of megabytes, 0 or more, not {megabytes!r}.")
    with _guard:
        MEMORY = megabytes
        _forget()


def _forget() -> None:
    while len(_recent) > 1 and sum(kept.parameters for kept in _recent.values()) * 4e-6 > MEMORY:
        _recent.popitem(last=False)


def _load_entry(entry: Entry, weights: str | None, progress: Progress) -> "Classifier":
    from .classifier import Classifier

    progress("load", 0, 1)
    model = build(entry) if weights is None else _with_weights(entry, progress)
    labels, size = imagenet_labels(), (entry.input_side, entry.input_side)
    network = Classifier(entry.name, model, labels, size, _preprocessing(entry.name))
    progress("load", 1, 1)
    return network


def _with_weights(entry: Entry, progress: Progress) -> "keras.Model":
    if isinstance(entry.weights, PackagedFile):
        tensors = entry.weights.read()
        model = build(entry)
        importlib.import_module(entry.module).assign(model, tensors)
        return model
    built = []  # when there are weights for it, not before: without them it would be a gigabyte for nothing

    def use(path: Path) -> None:
        model = build(entry)
        model.load_weights(path)
        built.append(model)

    fetch(entry.weights, use, progress=progress)
    if entry.module == "keras.applications.efficientnet":
        _correct_efficientnet(built[0])
    return built[0]


def build(entry: Entry) -> "keras.Model":
    """A network of the zoo with random weights; its outputs are logits.

    Keras numbers the layers that have no name (conv2d_94, add_11) with a counter of the thread, so the second
    Xception of a thread has other names than the first. In a thread of its own, each network has the same
    names in every process.
    """
    import keras

    if isinstance(entry.weights, PackagedFile):
        return importlib.import_module(entry.module).build()
    builder = getattr(keras.applications, entry.name)
    shape = (entry.input_side, entry.input_side, 3)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(builder, weights=None, input_shape=shape, classifier_activation=None).result()


def _correct_efficientnet(model: "keras.Model") -> None:
    """Divide the input by the root of the deviation once more, as Keras does where it fetches these weights.

    The weights were trained that way (github.com/tensorflow/tensorflow/issues/49930). Keras adds a layer for
    it, but only when it fetches the file itself; here it goes into the variance of the normalisation.
    """
    import keras

    (normalization,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    normalization.adapt_variance.assign(normalization.adapt_variance * [0.229, 0.224, 0.225])
    normalization.finalize_state()


def _preprocessing(preprocess: Preprocess | str | None) -> Preprocess | None:
    if not isinstance(preprocess, str):
        return preprocess
    return importlib.import_module(find(preprocess).module).preprocess_input


def _load_file(
    path: Path,
    labels: Labels | str | os.PathLike[str] | None,
    preprocess: Preprocess | str | None,
    input_size: tuple[int, int] | None,
    progress: Progress,
) -> "Classifier":
    if path.suffix.lower() != ".keras":
        raise NetworkError(
            f"{path} is not a .keras file; older formats (.h5, SavedModel folders) can run code when they "
            'are opened. Save the network with model.save("network.keras").'
        )
    try:
        status = path.stat()
    except OSError as error:
        raise NetworkError(f"{path} cannot be opened: {(error.strerror or str(error)).lower()}.") from error
    given = read_labels(labels) if isinstance(labels, (str, os.PathLike)) else labels
    names = given and tuple(name if isinstance(name, str) else (name[0], name[1]) for name in given)
    size = tuple(input_size) if isinstance(input_size, list) else input_size
    key = (path.resolve(), status.st_mtime_ns, status.st_size, names, preprocess, size)

    def make() -> "Classifier":
        from .classifier import Classifier

        progress("load", 0, 1)
        network = Classifier(path.stem, read_model(path), names, size, _preprocessing(preprocess))
        progress("load", 1, 1)
        return network

    return _once(key, make)
