"""Every method against a NumPy reference of its equations, and against what is known on paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import SIDE, cam_network, deep_network, noise, seeded

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.maps.methods import FUNCTIONS
from gradcam_core.networks.classifier import Classifier
from gradcam_core.pictures.render import resize_heat
from gradcam_core.settings import METHODS

ONE_PASS = sorted(FUNCTIONS)


def first_component(matrix):
    """(h, w, c) along its first right singular vector, towards the sum of its channels."""
    rows = matrix.reshape(-1, matrix.shape[-1]).astype(np.float64)
    component = rows @ np.linalg.svd(rows, full_matrices=False)[2][0]
    return (np.sign(component @ rows.sum(1)) * component).reshape(matrix.shape[:2])


def plus_plus(a, g):
    weights = np.zeros(a.shape[-1])
    for k in range(a.shape[-1]):
        for i, j in np.ndindex(a.shape[:2]):
            below = 2 * g[i, j, k] ** 2 + g[i, j, k] ** 3 * a[..., k].sum()
            if g[i, j, k] and below:
                weights[k] += g[i, j, k] ** 2 / below * max(0, g[i, j, k])
    return a @ weights


def x_weights(a, g):
    totals = a.sum((0, 1))
    return np.array([(a[..., k] * g[..., k]).sum() / t if t else 0 for k, t in enumerate(totals)])


REFERENCES = {
    "gradcam": lambda a, g: a @ g.mean((0, 1)),
    "gradcam++": plus_plus,
    "xgradcam": lambda a, g: a @ x_weights(a, g),
    "layercam": lambda a, g: (np.maximum(g, 0) * a).sum(-1),
    "hirescam": lambda a, g: (g * a).sum(-1),
    "eigencam": lambda a, g: first_component(a),
    "eigengradcam": lambda a, g: first_component(g * a),
    "cam": lambda a, g: a @ g.sum((0, 1)),
}


@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 3, 9)])
@pytest.mark.parametrize("method", ONE_PASS)
def test_a_method_is_its_equation(method, shape):
    random = np.random.default_rng(3)
    activation = np.maximum(random.normal(0.5, 1, (2, *shape)), 0).astype(np.float32)  # with zeros, as after a ReLU
    activation[..., 1] = 0
    gradient = random.normal(0, 1, (2, *shape)).astype(np.float32)
    gradient[:, 0, 0] = 0
    maps = FUNCTIONS[method](tf.constant(activation), tf.constant(gradient)).numpy()
    expected = [REFERENCES[method](a, g) for a, g in zip(activation, gradient, strict=True)]
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ONE_PASS)
@pytest.mark.parametrize("size", [1e-6, 1e-15])
def test_small_gradients_give_the_same_picture(method, size):
    random = np.random.default_rng(4)
    activation = random.random((1, 4, 4, 3), np.float32)
    gradient = random.normal(0, 1, (1, 4, 4, 3)).astype(np.float32)
    if method == "gradcam++":  # not proportional: it depends on the size of gradient times activation
        gradient *= 1e-6
    whole, small = (
        FUNCTIONS[method](tf.constant(activation), tf.constant(gradient * np.float32(s))).numpy() for s in (1, size)
    )
    np.testing.assert_allclose(small / np.abs(small).max(), whole / np.abs(whole).max(), atol=1e-4)


@pytest.mark.parametrize("method", ONE_PASS)
def test_nothing_in_gives_nothing_out_and_no_nan(method):
    zeros, ones = tf.zeros((1, 3, 3, 2)), tf.ones((1, 3, 3, 2))
    assert not FUNCTIONS[method](zeros, zeros).numpy().any()
    assert not FUNCTIONS[method](zeros, ones).numpy().any()
    if method != "eigencam":  # which does not ask for the gradient
        assert not FUNCTIONS[method](ones, zeros).numpy().any()
        assert FUNCTIONS[method](ones, -ones).numpy().max() <= 0


def test_every_method_has_a_name_and_a_sentence():
    assert set(METHODS) == {*FUNCTIONS, "scorecam", "guided"}
    assert all(info.title and info.about.endswith(".") for info in METHODS.values())
    assert all(METHODS[name].is_one_pass for name in FUNCTIONS)


# --- on networks ---


@pytest.mark.parametrize("method", sorted(METHODS))
def test_several_classes_at_once_have_the_maps_of_each_alone(method):
    network = deep_network() if method != "cam" else cam_network(classes=4)
    together = gc.explain_classes(network, noise(), [0, 2, 3], "all", method=method)
    for index, found in zip((0, 2, 3), together, strict=True):
        alone = gc.explain(network, noise(), index, "all", method=method)
        assert found.method == alone.method == method
        for name, heat_map in alone.maps.items():
            size = np.abs(heat_map.raw).max()
            np.testing.assert_allclose(found.maps[name].raw, heat_map.raw, atol=1e-4 * size)


def test_where_cam_is_defined_the_methods_agree():
    network = cam_network(activation="softmax")
    maps = {m: gc.explain(network, noise(), 1, "relu", method=m).maps["relu"].raw for m in FUNCTIONS}
    activation = gradients.trace(network, ("relu",), lambda a, g: a)(network.to_input(noise()), 1)[1]["relu"]
    by_head = activation @ network.model.get_layer("head").get_weights()[0][:, 1]
    np.testing.assert_allclose(maps["cam"], by_head, atol=1e-5)
    np.testing.assert_allclose(maps["gradcam"] * SIDE * SIDE, by_head, atol=1e-4)
    for method in ("hirescam", "xgradcam"):  # the gradient is the same in every cell
        np.testing.assert_allclose(maps[method], maps["gradcam"], atol=1e-6)


def test_hirescam_and_xgradcam_sum_up_to_the_score():
    network = cam_network()
    logits = network.predict_logits(network.to_input(noise()))[0]
    bias = network.model.get_layer("head").get_weights()[1]
    for method in ("hirescam", "xgradcam"):
        raw = gc.explain(network, noise(), 2, "relu", method=method).maps["relu"].raw
        assert raw.sum() == pytest.approx(logits[2] - bias[2], abs=1e-5)


def test_cam_names_the_one_layer_it_can_explain():
    assert cam_network().cam_layer == "relu"
    assert list(gc.explain(cam_network(), noise(), method="cam").maps) == ["relu"]
    for layers in ("conv", ["relu", "conv"], None):
        with pytest.raises(gc.LayerError, match="CAM explains one layer of cam, relu"):
            gc.explain(cam_network(), noise(), layers=layers, method="cam")


def test_cam_says_when_the_head_does_not_allow_it():
    assert deep_network().cam_layer is None  # two dense layers
    with pytest.raises(gc.LayerError, match="deep has none"):
        gc.explain(deep_network(), noise(), method="cam")


@pytest.mark.parametrize(
    ("between", "head", "layer"),
    [
        (keras.layers.Dropout(0.2), "softmax", "conv"),
        (keras.layers.BatchNormalization(), "softmax", None),  # what is averaged is not offered
        (keras.layers.ReLU(name="relu"), "tanh", None),  # its weights make no score
    ],
)
def test_cam_knows_what_is_averaged_and_what_is_a_head(between, head, layer):
    inputs = keras.Input((8, 8, 3))
    x = between(keras.layers.Conv2D(3, 3, name="conv")(inputs))
    outputs = keras.layers.Dense(2, activation=head)(keras.layers.GlobalAveragePooling2D()(x))
    network = Classifier("own", keras.Model(inputs, outputs))
    assert network.cam_layer == layer
    if layer:
        assert list(gc.explain(network, noise(), layers=[layer], method="cam").maps) == [layer]
    else:
        with pytest.raises(gc.LayerError, match="own has none"):
            gc.explain(network, noise(), method="cam")


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("ResNet50", "conv5_block3_out"),
        ("MobileNetV2", "out_relu"),
        ("MobileNet", "conv_pw_13_relu"),  # its head is a 1x1 convolution
        ("DenseNet121", "relu"),
        ("VGG16", None),
        ("EfficientNetLite0", "head_relu"),
    ],
)
def test_cam_knows_the_heads_of_known_networks(name, layer):
    assert gc.load(name, weights=None).cam_layer == layer


# --- Score-CAM ---


def test_score_cam_is_its_algorithm():
    network, photo = deep_network(), noise()
    batch = network.to_input(photo)

    def activation_of(name):
        return gradients.trace(network, (name,), lambda a, g: a)(batch, 0)[1][name]

    found = gc.explain(network, photo, 1, ["relu2", "relu3"], method="scorecam")
    for name, heat_map in found.maps.items():
        activation = activation_of(name)
        baseline = network.predict_logits(np.zeros_like(batch))[0][1]
        gains, channels = [], []
        for k in range(activation.shape[-1]):
            channel = activation[..., k]
            if channel.max() > channel.min():
                mask = resize_heat((channel - channel.min()) / np.ptp(channel), 16, 16)
                mask = (mask - mask.min()) / np.ptp(mask)  # enlarged first, then from 0 to 1
                gains.append(network.predict_logits(batch * mask[..., None])[0][1] - baseline)
                channels.append(channel)
        weights = np.exp(gains) / np.exp(gains).sum()
        np.testing.assert_allclose(heat_map.raw, np.tensordot(weights, channels, 1), rtol=1e-4, atol=1e-6)


def test_score_cam_tells_how_far_it_is_and_can_be_stopped():
    network, seen = deep_network(), []
    gc.explain(network, noise(), 1, "relu3", method="scorecam", progress=lambda *step: seen.append(step))
    assert seen[-1] == (8, 8)

    def stop(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gc.explain(network, noise(), 1, "relu3", method="scorecam", progress=stop)


def test_score_cam_of_a_layer_that_is_the_same_everywhere_is_empty():
    network = deep_network()
    for variable in network.model.get_layer("conv3").weights:
        variable.assign(np.full(variable.shape, -1.0))
    assert (
        gc.explain(network, np.full((16, 16, 3), 200, np.uint8), 1, "relu3", method="scorecam").maps["relu3"].is_empty
    )


# --- Guided Grad-CAM ---


def relu_network(relu) -> Classifier:
    """Two dense layers over a convolution, each followed by a ReLU as ``relu(inputs, layer)`` puts it there."""
    inputs = keras.Input((6, 6, 3))
    x = relu(inputs, keras.layers.Conv2D(4, 3, name="conv"))
    x = keras.layers.Flatten()(x)
    x = relu(x, keras.layers.Dense(5, name="dense"))
    return Classifier("relus", seeded(keras.Model(inputs, keras.layers.Dense(2, name="head")(x)), 1))


def with_activation(x, layer):
    layer.activation = keras.activations.relu
    return layer(x)


RELUS = {
    "activation": with_activation,
    "layer": lambda x, layer: keras.layers.ReLU()(layer(x)),
    "activation layer": lambda x, layer: keras.layers.Activation("relu")(layer(x)),
    "operation": lambda x, layer: keras.ops.relu(layer(x)),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_guided_backpropagation_drops_what_is_negative_at_every_relu(relu):
    network = relu_network(relu)
    batch = np.random.default_rng(1).normal(0, 1, (1, 6, 6, 3)).astype(np.float32)
    (conv, conv_bias), (dense, dense_bias), (head, _) = (
        network.model.get_layer(name).get_weights() for name in ("conv", "dense", "head")
    )
    convolved = np.zeros((4, 4, 4))
    for i, j in np.ndindex(4, 4):
        convolved[i, j] = np.einsum("hwc,hwck->k", batch[0, i : i + 3, j : j + 3], conv) + conv_bias
    hidden = np.maximum(convolved, 0).ravel() @ dense + dense_bias
    back = np.maximum(head[:, 1], 0) * (hidden > 0)
    back = (np.maximum(dense @ back, 0).reshape(4, 4, 4)) * (convolved > 0)
    expected = np.zeros((6, 6, 3))
    for i, j in np.ndindex(4, 4):
        expected[i : i + 3, j : j + 3] += conv @ back[i, j]
    found = gradients.guided_backpropagation(network)(batch, np.float32([0, 1]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not np.allclose(expected, 0)


def test_relus_inside_a_nested_model_are_guided_too():
    def network(is_nested):
        part = keras.Sequential(
            [keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
        )
        inputs = keras.Input((6, 6, 3))
        x = inputs
        for layer in [part] if is_nested else part.layers:
            x = layer(x)
        x = keras.layers.Dense(5, activation="relu")(x)
        return Classifier("nested", seeded(keras.Model(inputs, keras.layers.Dense(2)(x)), seed=0))

    batch = np.random.default_rng(1).normal(0, 1, (1, 6, 6, 3)).astype(np.float32)
    nested, flat = (
        gradients.guided_backpropagation(network(is_nested))(batch, np.float32([0, 1])) for is_nested in (True, False)
    )
    np.testing.assert_allclose(nested, flat, atol=1e-6)
    assert nested.any()


def test_guided_grad_cam_is_the_product_of_both():
    network, photo = deep_network(), noise()
    raw = gc.explain(network, photo, 1, "relu2", method="guided").maps["relu2"].raw
    coarse = gc.explain(network, photo, 1, "relu2").maps["relu2"]
    guided = gradients.guided_backpropagation(network)(network.to_input(photo), np.eye(4, dtype=np.float32)[1])
    expected = resize_heat(coarse.heat, 16, 16) * coarse.peak * np.abs(guided).max(-1)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-7)
    assert raw.shape == network.input_size


def test_the_network_is_bit_equal_after_guided_grad_cam_and_after_its_failure():
    network = deep_network()
    before, config = [np.copy(w) for w in network.model.get_weights()], network.model.to_json()
    prediction = network.model(network.to_input(noise()).copy()).numpy()
    gc.explain(network, noise(), 1, method="guided")
    with pytest.raises(gc.GradcamError):
        gc.explain(network, noise(), 1, "no such layer", method="guided")
    for mine, its in zip(network.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, its)
    assert network.model.to_json() == config
    np.testing.assert_array_equal(network.model(network.to_input(noise()).copy()).numpy(), prediction)


def test_without_a_relu_nothing_is_guided():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, activation="gelu", name="conv")(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    with pytest.raises(gc.SettingError, match="Choose another method"):
        gc.explain(Classifier("smooth", keras.Model(inputs, outputs)), noise(), method="guided")


def test_values_that_are_not_numbers_are_the_networks_fault():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, activation="relu")(inputs / keras.ops.max(inputs))  # 0 / 0 for a black photo
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    network = Classifier("divides", keras.Model(inputs, outputs))
    with pytest.raises(gc.NetworkError, match="divides gives values that are not numbers"):
        gc.explain(network, np.zeros((8, 8, 3), np.uint8), 1, method="guided")


# --- contrast, and what speaks against ---


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "xgradcam", "cam"])
def test_a_contrast_is_the_difference_of_two_maps(method):
    network = cam_network(classes=4)
    one, other, both = (
        gc.explain(network, noise(), target, "relu", method=method, **more).maps["relu"].raw
        for target, more in ((1, {}), (3, {}), (1, {"instead_of": 3, "weight": 0.5}))
    )
    np.testing.assert_allclose(both, one - 0.5 * other, atol=1e-5 * np.abs(one).max() + 1e-6)


def test_what_speaks_against_is_the_negated_map():
    network = deep_network()
    evidence = gc.explain(network, noise(), 2, "all")
    against = gc.explain(network, noise(), 2, "all", against=True)
    assert against.against
    for name, heat_map in evidence.maps.items():
        np.testing.assert_allclose(against.maps[name].raw, -heat_map.raw, atol=1e-6)


def test_a_contrast_says_with_which_class():
    network = cam_network(classes=4)
    found = gc.explain(network, noise(), instead_of=3 if network.predict(noise())[0].index != 3 else 2)
    assert found.target == found.predictions[0]
    assert found.instead_of.index in (2, 3)
    assert gc.explain(network, noise()).instead_of is None


# --- smoothing ---


def mirrored_network() -> Classifier:
    """A network that knows neither left from right nor one place from another: all its kernels are 1 x 1."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 1, activation="relu", name="fine")(x)
    x = keras.layers.AveragePooling2D(4, name="pool")(x)
    x = keras.layers.Conv2D(5, 1, activation="relu", name="coarse")(x)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    return Classifier("mirrored", seeded(keras.Model(inputs, outputs), 5))


@pytest.mark.parametrize("smoothing", ["flips", "shifts"])
def test_views_are_brought_back_exactly(smoothing):
    network, photo = mirrored_network(), noise()
    plain = gc.explain(network, photo, 1, "all", method="layercam")
    smooth = gc.explain(network, photo, 1, "all", method="layercam", smoothing=smoothing)
    assert smooth.smoothing == smoothing
    for name, heat_map in plain.maps.items():
        np.testing.assert_allclose(smooth.maps[name].raw, heat_map.raw, atol=1e-5 * heat_map.peak)


def test_noise_is_always_the_same_and_the_predictions_are_of_the_photo_as_it_is():
    network, photo = deep_network(), noise()
    found, again = (gc.explain(network, photo, 1, "relu2", smoothing="noise") for _ in range(2))
    np.testing.assert_array_equal(found.maps["relu2"].raw, again.maps["relu2"].raw)
    assert found.predictions == gc.explain(network, photo, 1, "relu2").predictions


def test_a_shift_that_does_not_fit_the_cells_is_refused():
    inputs = keras.Input((13, 13, 3))
    x = keras.layers.Conv2D(3, 3, strides=2, activation="relu", name="conv")(inputs)
    network = Classifier("odd", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))))
    with pytest.raises(gc.SettingError, match="smooth by flips or noise"):
        gc.explain(network, noise(), smoothing="shifts")


# --- several layers in one map ---


def test_layers_are_fused_by_maximum_or_product():
    found = gc.explain(deep_network(), noise(), 1, "stages")
    shape = max(m.raw.shape for m in found.maps.values())
    heats = [resize_heat(m.heat, shape[1], shape[0]) for m in found.maps.values()]
    np.testing.assert_array_equal(found.fused("maximum"), np.max(heats, axis=0))
    product = np.prod(heats, axis=0)
    np.testing.assert_allclose(found.fused("product"), product / product.max(), atol=1e-6)
    with pytest.raises(gc.SettingError, match="'maximum' or 'product', not 'sum'"):
        found.fused("sum")


def test_one_empty_map_leaves_nothing_that_all_agree_on():
    network = deep_network()
    for variable in network.model.get_layer("conv3").weights:
        variable.assign(np.full(variable.shape, -1.0))
    found = gc.explain(network, noise(), 1, ["relu2", "relu3"])
    assert found.maps["relu3"].is_empty
    assert not found.fused("product").any()
    np.testing.assert_array_equal(
        found.fused("maximum"), resize_heat(found.maps["relu2"].heat, *found.fused("maximum").shape[::-1])
    )


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        (
            {"method": "gradcam+++"},
            gc.SettingError,
            "There is no method 'gradcam\\+\\+\\+'. There is: gradcam, gradcam",
        ),
        ({"method": ["gradcam"]}, gc.SettingError, "There is no method"),
        ({"smoothing": "blur"}, gc.SettingError, "There is no smoothing 'blur'. There is: none, flips"),
        ({"score": "loss"}, gc.SettingError, "There is no score 'loss'. There is: logit, probability"),
        ({"instead_of": 1}, gc.TargetError, "class 1 cannot be held against itself"),
        ({"instead_of": 99}, gc.TargetError, "99 is not one of them"),
        ({"instead_of": 2, "weight": -1}, gc.SettingError, "a number from 0 to 1000, not -1"),
        ({"instead_of": 2, "weight": float("nan")}, gc.SettingError, "a number from 0 to 1000, not nan"),
        ({"against": "yes"}, gc.SettingError, "by True or False, not 'yes'"),
        ({"method": "scorecam", "smoothing": "flips"}, gc.SettingError, "Score-CAM is not smoothed"),
        ({"method": "eigencam", "against": True}, gc.SettingError, "the same for every class"),
        ({"method": "eigencam", "instead_of": 2}, gc.SettingError, "the same for every class"),
        ({"method": "cam", "score": "probability"}, gc.SettingError, "which make the logit"),
    ],
)
def test_a_wrong_setting_is_named(wrong, error, sentence):
    with pytest.raises(error, match=sentence):
        gc.explain(deep_network(), noise(), 1, **wrong)
