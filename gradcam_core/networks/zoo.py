"""The networks: every image classifier of keras.applications, the built-in one, and .keras files."""

import difflib
import importlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from ..errors import NetworkError, SettingError
from .files import Labels, read_labels, read_model
from .weights import Progress, WeightsFile, fetch

if TYPE_CHECKING:
    import keras
    import numpy as np

    from .classifier import Classifier

# Keras is imported where it is needed: the list of networks must not wait seconds for TensorFlow.

Preprocess = Callable[["np.ndarray"], "np.ndarray"]

_HERE = Path(__file__).parent
MEMORY = 2000  # megabytes (10**6 bytes) of weights that stay when nobody holds their networks any more

# name, module of keras.applications, input side, parameters, address in Keras' store[:name here], digest.
# T stands for tensorflow/keras-applications, * for _weights_tf_dim_ordering_tf_kernels.
_TABLE = """\
VGG16             vgg16               224 138357544 T/vgg16/vgg16*.h5 64373286793e3c8b2b4e3219cbf3544b
VGG19             vgg19               224 143667240 T/vgg19/vgg19*.h5 cbe5617147190e668d6c5d5026f83318
ResNet50          resnet              224  25636712 T/resnet/resnet50*.h5 2cb95161c43110f7111970584f804107
ResNet101         resnet              224  44707176 T/resnet/resnet101*.h5 f1aeb4b969a6efcfb50fad2f0c20cfc5
ResNet152         resnet              224  60419944 T/resnet/resnet152*.h5 100835be76be38e30d865e96f2aaae62
ResNet50V2        resnet_v2           224  25613800 T/resnet/resnet50v2*.h5 3ef43a0b657b3be2300d5770ece849e0
ResNet101V2       resnet_v2           224  44675560 T/resnet/resnet101v2*.h5 6343647c601c52e1368623803854d971
ResNet152V2       resnet_v2           224  60380648 T/resnet/resnet152v2*.h5 a49b44d1979771252814e80f8ec446f9
MobileNet         mobilenet           224   4253864 T/mobilenet/mobilenet_1_0_224_tf.h5 -
MobileNetV2       mobilenet_v2        224   3538984 T/mobilenet_v2/mobilenet_v2*_1.0_224.h5 -
MobileNetV3Small  mobilenet_v3        224   2554968 T/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float.h5 8768d4c2e7dee89b9d02b2d03d65d862
MobileNetV3Large  mobilenet_v3        224   5507432 T/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float.h5 59e551e166be033d707958cf9e29a6a7
DenseNet121       densenet            224   8062504 T/densenet/densenet121*.h5 9d60b8095a5708f2dcce2bca79d332c7
DenseNet169       densenet            224  14307880 T/densenet/densenet169*.h5 d699b8f76981ab1b30698df4c175e90b
DenseNet201       densenet            224  20242984 T/densenet/densenet201*.h5 1ceb130c1ea1b78c3bf6114dbdfd8807
InceptionV3       inception_v3        299  23851784 T/inception_v3/inception_v3*.h5 9a0d58056eeedaa3f26cb7ebd46da564
InceptionResNetV2 inception_resnet_v2 299  55873736 T/inception_resnet_v2/inception_resnet_v2*.h5 e693bd0210a403b3192acc6073ad2e96
Xception          xception            299  22910480 T/xception/xception*.h5 0a58e3b7378bc2990ea3b43d5981f1f6
NASNetMobile      nasnet              224   5326716 T/nasnet/NASNet-mobile.h5:nasnet_mobile.h5 020fb642bf7360b370c678b08e0adf61
NASNetLarge       nasnet              331  88949818 T/nasnet/NASNet-large.h5:nasnet_large.h5 11577c9a518f0070763c2b964a382f17
EfficientNetB0    efficientnet        224   5330571 keras-applications/efficientnetb0.h5 902e53a9f72be733fc0bcb005b3ebbac
EfficientNetB1    efficientnet        240   7856239 keras-applications/efficientnetb1.h5 1d254153d4ab51201f1646940f018540
EfficientNetB2    efficientnet        260   9177569 keras-applications/efficientnetb2.h5 b15cce36ff4dcbd00b6dd88e7857a6ad
EfficientNetB3    efficientnet        300  12320535 keras-applications/efficientnetb3.h5 ffd1fdc53d0ce67064dc6a9c7960ede0
EfficientNetB4    efficientnet        380  19466823 keras-applications/efficientnetb4.h5 18c95ad55216b8f92d7e70b3a046e2fc
EfficientNetB5    efficientnet        456  30562527 keras-applications/efficientnetb5.h5 ace28f2a6363774853a83a0b21b9421a
EfficientNetB6    efficientnet        528  43265143 keras-applications/efficientnetb6.h5 165f6e37dce68623721b423839de8be5
EfficientNetB7    efficientnet        600  66658687 keras-applications/efficientnetb7.h5 8c03f828fec3ef71311cd463b6759d99
EfficientNetV2B0  efficientnet_v2     224   7200312 T/efficientnet_v2/efficientnetv2-b0.h5 21ecbf6da12460d5c40bb2f29ceb2188
EfficientNetV2B1  efficientnet_v2     240   8212124 T/efficientnet_v2/efficientnetv2-b1.h5 069f0534ff22adf035c89e2d9547a9dc
EfficientNetV2B2  efficientnet_v2     260  10178374 T/efficientnet_v2/efficientnetv2-b2.h5 424e49f28180edbde1e94797771950a7
EfficientNetV2B3  efficientnet_v2     300  14467622 T/efficientnet_v2/efficientnetv2-b3.h5 1f1fc43bd98a6e4fd8fdfd551e02c7a0
EfficientNetV2S   efficientnet_v2     384  21612360 T/efficientnet_v2/efficientnetv2-s.h5 e1d88a8495beba45748fedd0cecbe016
EfficientNetV2M   efficientnet_v2     480  54431388 T/efficientnet_v2/efficientnetv2-m.h5 a3bf6aa3276309f4fc6a34aa114c95cd
EfficientNetV2L   efficientnet_v2     480 119027848 T/efficientnet_v2/efficientnetv2-l.h5 27e6d408b53c7ebc868fefa357689935
ConvNeXtTiny      convnext            224  28589128 T/convnext/convnext_tiny.h5 8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff
ConvNeXtSmall     convnext            224  50223688 T/convnext/convnext_small.h5 ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c
ConvNeXtBase      convnext            224  88591464 T/convnext/convnext_base.h5 52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6
ConvNeXtLarge     convnext            224 197767336 T/convnext/convnext_large.h5 070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6
ConvNeXtXLarge    convnext            224 350196968 T/convnext/convnext_xlarge.h5 c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee
"""  # noqa: E501


@dataclass(frozen=True)
class Entry:
    """One network that `load` knows by name.

    Args:
        name: as `load` takes it, and as the function of keras.applications is called.
        module: where its preprocess_input lives in keras.applications; "" for the built-in network.
        input_side: height and width of its input, in pixels.
        parameters: how many numbers its weights hold.
        weights: the file that `load` fetches; None for the built-in network, which is here already.
    """

    name: str
    module: str
    input_side: int
    parameters: int
    weights: WeightsFile | None

    @property
    def megabytes(self) -> int:
        """Size of the weights in MB (10**6 bytes), about: 4 bytes a parameter."""
        return round(self.parameters * 4 / 1e6)

    @property
    def weights_file(self) -> str:
        """Name of the file of weights."""
        return self.weights.name if self.weights else _bundled()["weights"]


@cache
def _bundled() -> dict[str, Any]:
    """What there is to know about the built-in network, so that a better one can take its place as a file."""
    return json.loads((_HERE.parent / "bundled" / "network.json").read_text(encoding="utf-8"))


def _entries() -> Mapping[str, Entry]:
    about = _bundled()
    entries = {"bundled": Entry("bundled", "", about["input_size"][0], about["parameters"], None)}
    for line in _TABLE.splitlines():
        name, module, side, parameters, address, digest = line.split()
        address = address.replace("T/", "tensorflow/keras-applications/")
        address, _, file_name = address.replace("*", "_weights_tf_dim_ordering_tf_kernels").partition(":")
        weights = WeightsFile(
            network=name,
            name=file_name or address.rpartition("/")[2],
            address=address,
            size=4 * int(parameters),
            digest=None if digest == "-" else digest,
        )
        entries[name] = Entry(name, module, int(side), int(parameters), weights)
    return MappingProxyType(entries)


NETWORKS: Mapping[str, Entry] = _entries()


def find(name: str) -> Entry:
    """The entry of a network, found without regard to case.

    >>> find("vgg16").megabytes
    553
    >>> find("vgg")
    Traceback (most recent call last):
    gradcam_core.errors.NetworkError: There is no network 'vgg'. Nearest: VGG16, VGG19.

    Raises:
        NetworkError: there is none of that name; the nearest names are listed.
    """
    folded = {known.casefold(): entry for known, entry in NETWORKS.items()}
    wanted = name.strip().casefold()
    if wanted in folded:
        return folded[wanted]
    near = difflib.get_close_matches(wanted, folded, n=4, cutoff=0.5)
    listed = ", ".join(entry.name for known, entry in folded.items() if known in near)
    hint = f"Nearest: {listed}." if near else "The names are in NETWORKS."
    raise NetworkError(f"There is no network {name!r}. {hint}")


def weights_here(name: str) -> bool:
    """Whether the weights of a network are on this machine, so that `load` needs no download.

    >>> weights_here("bundled")
    True
    """
    weights = find(name).weights
    return weights is None or weights.path.is_file()


@cache
def imagenet_labels() -> tuple[tuple[str, str], ...]:
    """(WordNet id, name) of the 1000 ImageNet classes, in the order of the networks' outputs.

    >>> imagenet_labels()[779]
    ('n04146614', 'school bus')
    """
    lines = (_HERE / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    return tuple((line[:9], line[10:].replace("_", " ")) for line in lines)


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

    >>> load("bundled") is load("Bundled")
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
    if entry.weights is None:
        if weights is None:
            raise SettingError("The built-in network comes with its weights; choose another one for random weights.")
        return _once(entry.name, partial(_load_bundled, progress))
    where = entry.weights.path if weights else None
    return _once((entry.name, where), partial(_load_application, entry, weights, progress))


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


def _load_bundled(progress: Progress) -> "Classifier":
    from .classifier import Classifier

    about = _bundled()
    progress("load", 0, 1)
    model = read_model(_HERE.parent / "bundled" / about["weights"])
    labels = [tuple(label) for label in about["labels"]]
    network = Classifier("bundled", model, labels, tuple(about["input_size"]), _preprocessing(about["preprocess"]))
    progress("load", 1, 1)
    return network


def _load_application(entry: Entry, weights: str | None, progress: Progress) -> "Classifier":
    from .classifier import Classifier

    progress("load", 0, 1)
    model = build(entry) if weights is None else _with_weights(entry, progress)
    labels, size = imagenet_labels(), (entry.input_side, entry.input_side)
    network = Classifier(entry.name, model, labels, size, _preprocessing(entry.name))
    progress("load", 1, 1)
    return network


def _with_weights(entry: Entry, progress: Progress) -> "keras.Model":
    built = []  # when there are weights for it, not before: without them it would be a gigabyte for nothing

    def use(path: Path) -> None:
        model = build(entry)
        model.load_weights(path)
        built.append(model)

    fetch(entry.weights, use, progress=progress)
    if entry.module == "efficientnet":
        _correct_efficientnet(built[0])
    return built[0]


def build(entry: Entry) -> "keras.Model":
    """A network of keras.applications with random weights; its outputs are logits.

    Keras numbers the layers that have no name (conv2d_94, add_11) with a counter of the thread, so the second
    Xception of a thread has other names than the first. In a thread of its own, each network has the same
    names in every process.
    """
    import keras

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
    module = find(preprocess).module
    return importlib.import_module(f"keras.applications.{module}").preprocess_input if module else None


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
    names = read_labels(labels) if isinstance(labels, (str, os.PathLike)) else labels
    names = names and tuple(name if isinstance(name, str) else tuple(name) for name in names)
    size = tuple(input_size) if isinstance(input_size, list) else input_size
    key = (path.resolve(), status.st_mtime_ns, status.st_size, names, preprocess, size)

    def make() -> "Classifier":
        from .classifier import Classifier

        progress("load", 0, 1)
        network = Classifier(path.stem, read_model(path), names, size, _preprocessing(preprocess))
        progress("load", 1, 1)
        return network

    return _once(key, make)
