"""EfficientNet-Lite0: it is what others compute from the same weights, and knows what is on photos."""

import keras
import numpy as np
import pytest

import gradcam_core as gc
from gradcam_core.networks import efficientnet_lite


@pytest.fixture(scope="module")
def model():
    return gc.load("EfficientNetLite0").model


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
    weights = gc.NETWORKS["EfficientNetLite0"].weights.read()

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


def test_one_layer_stands_for_each_stage_and_cam_is_defined_at_the_last():
    network = gc.load("EfficientNetLite0")
    stages = {layer.name: layer.shape for layer in gc.select(network, "stages")}
    assert stages == {
        "block2a_expand_relu": (112, 112, 96),
        "block3a_expand_relu": (56, 56, 144),
        "block4a_expand_relu": (28, 28, 240),
        "block6a_expand_relu": (14, 14, 672),
        "head_relu": (7, 7, 1280),
    }
    assert network.cam_layer == "head_relu"


def test_grad_cam_at_the_last_layer_is_cam(batch):
    """The head is an average of h x w cells and one linear layer, so both are the same up to h x w."""
    network, photo = gc.load("EfficientNetLite0"), batch[0].astype(np.uint8)
    gradcam, cam = (
        gc.explain(network, photo, "teapot", "last", method=method).maps["head_relu"].heat
        for method in ("gradcam", "cam")
    )
    np.testing.assert_allclose(gradcam, cam, atol=1e-4)
    assert gradcam.max() == 1


def test_photos_are_recognised(shared):
    network = gc.load("EfficientNetLite0")
    photos = sorted((shared / "photos").glob("n*.jpg"))
    first = {photo.name: network.predict(gc.read_image(photo), 1)[0] for photo in photos}
    wrong = {name: guess.name for name, guess in first.items() if guess.wordnet_id != name[:9]}
    assert wrong == {"n02123045_tabby.jpg": "Egyptian cat"}


@pytest.mark.parametrize(("name", "what"), [("lion", "lion"), ("cheetah", "cheetah"), ("cheetah1", "cheetah")])
def test_the_examples_of_the_page_are_recognised(name, what):
    from gradio.media import get_image

    (guess,) = gc.load("EfficientNetLite0").predict(gc.read_image(get_image(f"{name}.jpg")), 1)
    assert guess.name == what
    assert guess.probability > 0.7
