"""From a name or a file to a network that is ready to be asked; the last used ones stay in memory."""

import importlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakValueDictionary

from ..collecting import uncollected
from ..errors import NetworkError, SettingError
from ..quiet import require_backend
from .files import is_file, read_model
from .labels import LabelSource, names_of
from .packaged import PackagedFile
from .preprocessing import Preprocess, preprocessing
from .weights import Progress, fetch
from .zoo import Entry, find, imagenet_labels

if TYPE_CHECKING:
    import keras

    from .classifier import Classifier
    from .measures import Measure

    NetworkLike: TypeAlias = Classifier | keras.Model | str | os.PathLike[str]

# Keras is imported where it is needed: whoever only imports `load` must not wait seconds for TensorFlow.

MEMORY: float = 2000  # megabytes (10**6 bytes) of weights that stay when nobody holds their networks any more


def load(
    name_or_path: "str | os.PathLike[str] | keras.Model",
    *,
    weights: Literal["imagenet"] | None = "imagenet",
    labels: LabelSource | None = None,
    preprocess: Preprocess | str | None = None,
    input_size: tuple[int, int] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    image: str | int | None = None,
    inputs: Mapping[str | int, Any] | None = None,
    output: str | int | None = None,
    shown: Sequence[int] | None = None,
    measures: "Measure | None" = None,
    progress: Progress | None = None,
) -> "Classifier":
    """A network, ready to be asked and explained; the same arguments give the same object, but for a model.

    Args:
        name_or_path: a name of `NETWORKS` in any case, or the path of a .keras or .h5 file; or a Keras model.
        weights: "imagenet", or None for random weights (other ones in each process), to try speed and shapes.
        labels: for a file or a model: one name for each class, in order, or (WordNet id, name) pairs: a list, an array,
            ...; or {index: name}, or {name: index}; or the path of a text file (one "name", "n01440764 name" or
            "0 name" a line) or of a .json file with any of them.
        preprocess: for a file or a model: float32 RGB (1, h, w, 3) in 0..255 -> what the model takes; or "0..1" or
            "-1..1", into which RGB is brought; or the name of a network in `NETWORKS` whose preprocessing it is; or
            "none". None is as "none", and `Classifier.notes` says so where the weights suggest something else.
        input_size: for a file or a model that takes any size: (height, width) in pixels.
        custom_objects: for a file: classes and functions of your own by name, as `keras.models.load_model` takes them.
        image, inputs, output, shown: for a file or a model of several inputs or outputs, or of other channels than RGB
            or grey: as `Classifier` takes them.
        measures: for a file or a model whose outputs are linear: "probability" where they are logits, "value" where
            they are values (an age, an angle); None goes by the loss that it was compiled with, or by their number.
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
    require_backend()
    progress = _silent if progress is None else progress
    how = {"image": image, "inputs": inputs, "output": output, "shown": shown, "measures": measures}
    if not isinstance(name_or_path, str | os.PathLike):
        return _given(name_or_path, labels, preprocess, input_size, how)
    path = Path(name_or_path)
    if is_file(os.fspath(name_or_path)):
        if weights is None:
            raise SettingError(f"{path} brings its own weights; random ones are for the names in NETWORKS.")
        return _load_file(path, labels, preprocess, input_size, custom_objects, how, progress)
    entry = find(os.fspath(name_or_path))
    if any(given is not None for given in (labels, preprocess, input_size, custom_objects, *how.values())):
        raise SettingError(
            f"{entry.name} has its own class names, preprocessing and input size, one input and one output: leave them "
            "out."
        )
    if weights not in ("imagenet", None):
        raise SettingError(f"weights is 'imagenet' or None (random), not {weights!r}.")
    where = entry.weights.path if weights else None
    return _once((entry.name, where), partial(_load_entry, entry, weights, progress))


def network_of(given: "NetworkLike") -> "Classifier":
    """The network that is meant: a loaded one itself, or what `load` makes of a name, a path or a model.

    Raises:
        NetworkError: it is nothing of these, or cannot be explained.
    """
    require_backend()
    from .classifier import Classifier

    return given if isinstance(given, Classifier) else load(given)


def _given(
    model: Any,  # noqa: ANN401
    labels: LabelSource | None,
    preprocess: Preprocess | str | None,
    input_size: tuple[int, int] | None,
    how: Mapping[str, Any],
) -> "Classifier":
    """A model as a network. It is not kept: who changes the model afterwards would get the network before that."""
    from .classifier import Classifier

    if isinstance(model, Classifier):
        raise NetworkError(f"{model.name} is loaded already. Use it as it is.")
    name = getattr(model, "name", None)
    name = name if isinstance(name, str) else type(model).__name__
    return Classifier(name, model, labels, input_size, preprocess, **how)


def _silent(stage: str, done: float, total: float) -> None:
    pass


@dataclass(frozen=True, eq=False)
class _Same:
    """A thing as part of a key: the same one, whatever it is equal to and whether it can be hashed."""

    thing: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


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
    network = Classifier(entry.name, model, labels, size, preprocessing(entry.name))
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

    shape = (entry.input_side, entry.input_side, 3)
    make: Callable[[], keras.Model] = (
        importlib.import_module(entry.module).build
        if isinstance(entry.weights, PackagedFile)
        else partial(
            getattr(keras.applications, entry.name), weights=None, input_shape=shape, classifier_activation=None
        )
    )
    usual = keras.config.image_data_format()  # keras.json may say channels first
    keras.config.set_image_data_format("channels_last")
    try:
        with uncollected(), ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(make).result()
    finally:
        keras.config.set_image_data_format(usual)


def _correct_efficientnet(model: "keras.Model") -> None:
    """Divide the input by the root of the deviation once more, as Keras does where it fetches these weights.

    The weights were trained that way (github.com/tensorflow/tensorflow/issues/49930). Keras adds a layer for
    it, but only when it fetches the file itself; here it goes into the variance of the normalisation.
    """
    import keras

    (normalization,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    normalization.adapt_variance.assign(normalization.adapt_variance * [0.229, 0.224, 0.225])
    normalization.finalize_state()


def _load_file(
    path: Path,
    labels: LabelSource | None,
    preprocess: Preprocess | str | None,
    input_size: tuple[int, int] | None,
    custom_objects: Mapping[str, Any] | None,
    how: Mapping[str, Any],
    progress: Progress,
) -> "Classifier":
    try:
        status = path.stat()
    except OSError as error:
        raise NetworkError(f"{path} cannot be opened: {(error.strerror or str(error)).lower()}.") from error
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise SettingError('custom_objects is {"name": class or function, ...}, as keras.models.load_model takes it.')
    names = None if labels is None else names_of(labels)
    size = tuple(input_size) if isinstance(input_size, list) else input_size
    prepare = preprocessing(preprocess)
    own = frozenset((str(name), _Same(one)) for name, one in (custom_objects or {}).items())
    key = (path.resolve(), status.st_mtime_ns, status.st_size, names, _Same(prepare), size, own, how["measures"])

    def make() -> "Classifier":
        from .classifier import Classifier

        progress("load", 0, 1)
        model, measures = read_model(path, custom_objects)
        asked = {**how, "measures": how["measures"] or measures}
        network = Classifier(path.stem, model, names, size, preprocess, **asked)
        progress("load", 1, 1)
        return network

    # Values of inputs are compared by nobody.
    is_plain = all(value is None for name, value in how.items() if name != "measures")
    return _once(key, make) if is_plain else make()
