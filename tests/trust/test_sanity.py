"""The sanity check of heat maps: making the network's weights random."""

import keras
import numpy as np
import pytest
from tiny_networks import StoppedError, deep_network, noise, oblong_network, seeded, staged_network, stop_at

from gradcam_core import NETWORKS, NetworkError, SettingError, explain, load
from gradcam_core.networks.classifier import Classifier
from gradcam_core.pictures.render import resize_heat
from gradcam_core.trust.sanity import SanityCheck, randomisation_test, rank_correlation, sanity_check, ssim


def edges(photo: np.ndarray) -> np.ndarray:
    grey = photo.mean(-1)
    return np.hypot(*np.gradient(grey)).astype(np.float32)


def state(network: Classifier) -> list[np.ndarray]:
    return [variable.numpy().copy() for variable in network.model.weights]


def assert_untouched(network: Classifier, before: list[np.ndarray]) -> None:
    for variable, values in zip(network.model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), values)


def test_the_maps_of_a_trained_network_pass(photos):
    network = load(next(iter(NETWORKS)))
    check = sanity_check(network, photos / "landscape.jpg")
    assert set(check.passes.values()) == {True}
    assert list(check.passes) == list(explain(network, photos / "landscape.jpg").maps)
    assert len(check.randomised) == 6
    for values in (*check.rank_correlation.values(), *check.ssim.values()):
        assert values.shape == (6,)
        assert values.dtype == np.float32


def test_a_map_of_the_photo_alone_fails():
    photo = noise(16)
    check = randomisation_test(deep_network(), lambda network: {"edges": edges(photo), "inverse": -edges(photo)})
    assert check.passes == {"edges": False, "inverse": False}
    for name in check.passes:
        np.testing.assert_allclose(check.rank_correlation[name], 1, rtol=1e-6)
        np.testing.assert_allclose(check.ssim[name], 1, rtol=1e-6)


def test_a_map_of_the_photo_whose_sign_the_network_sets_fails_too():
    photo = noise(16)

    def make_maps(network):
        return {"edges": np.sign(network.model.get_layer("head").kernel.numpy()[0, 0]) * edges(photo)}

    assert randomisation_test(deep_network(), make_maps).passes == {"edges": False}


def test_a_map_that_is_the_same_everywhere_cannot_be_tested():
    check = randomisation_test(deep_network(), lambda network: {"flat": np.full((4, 4), 3.0)})
    assert check.passes == {"flat": None}


def test_weights_become_random_from_the_head_down_and_whole_again_for_each_draw():
    network = deep_network()
    before, seen = state(network), []

    def make_maps(copy):
        seen.append(state(copy))
        return {"edges": edges(noise(16))}

    check = randomisation_test(network, make_maps, blocks=3, draws=2)
    trained, copied, *steps = seen
    for values in (trained, copied):
        for mine, its in zip(values, before, strict=True):
            np.testing.assert_array_equal(mine, its)
    names = [variable.path.split("/")[0] for variable in network.model.weights]
    changed = [
        {name for name, mine, its in zip(names, values, before, strict=True) if not np.array_equal(mine, its)}
        for values in steps
    ]
    assert changed[0] < changed[1] < changed[2] == set(names)
    assert "head" in changed[0]
    assert not {"conv1", "conv2"} & changed[1]
    assert changed[:3] == changed[3:]
    assert not np.array_equal(steps[2][0], steps[5][0])  # another draw
    assert [name in layers for name, layers in zip(check.randomised, changed, strict=False)] == [True] * 3
    assert check.randomised[-1] == "conv1"
    assert_untouched(network, before)


@pytest.mark.parametrize(
    ("left", "passes"),
    [([0.9, 0.8, 0.69], True), ([0.1, 0.2, 0.71], False), ([0.99, 0.1, 0.7], False), ([0.5], True)],
)
def test_a_map_is_judged_by_what_is_left_when_all_weights_are_random(left, passes):
    layers = tuple(f"layer {step}" for step in range(len(left)))
    check = SanityCheck(layers, {"map": np.array(left)}, {"map": 1 - np.array(left)})
    assert check.passes == {"map": passes}


def test_a_check_is_the_mean_over_its_draws_of_what_is_left_of_each_map():
    network, photo, seen = oblong_network(), noise(12, width=20), []

    def make_maps(copy):
        seen.append(explain(copy, photo, 1, "relu2", method="layercam").maps["relu2"].raw)
        return {"relu2": seen[-1]}

    check = randomisation_test(network, make_maps, blocks=2, draws=3)
    trained, draws = seen[0], np.array(seen[2:]).reshape(3, 2, 6, 10)
    ranks = [[abs(rank_correlation(raw, trained)) for raw in steps] for steps in draws]
    assert np.ptp(ranks, axis=0).max() > 0.01
    np.testing.assert_allclose(check.rank_correlation["relu2"], np.mean(ranks, axis=0), rtol=1e-5)

    def shown(raw):
        heat = np.maximum(raw, 0)
        return resize_heat(heat / (heat.max() or 1), width=20, height=12)

    similar = [[ssim(shown(raw), shown(trained)) for raw in steps] for steps in draws]
    np.testing.assert_allclose(check.ssim["relu2"], np.mean(similar, axis=0), rtol=1e-5)


def test_how_faint_a_map_is_makes_no_difference():
    network, photo = oblong_network(), noise(12, width=20)

    def make_maps(copy):
        raw = explain(copy, photo, 1, "relu2").maps["relu2"].raw
        return {"plain": raw, "faint": raw * np.float32(1e-30)}

    check = randomisation_test(network, make_maps, blocks=3, draws=1)
    assert check.passes["plain"] is not None
    assert check.passes["faint"] == check.passes["plain"]
    for values in (check.rank_correlation, check.ssim):
        np.testing.assert_allclose(values["faint"], values["plain"], atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "layercam"}, {"score": "probability", "instead_of": 3}, {"against": True, "smoothing": "flips"}],
)
def test_the_check_is_of_the_maps_that_are_shown(settings):
    network, photo, made = oblong_network(), noise(30, width=40), []

    def make_maps(copy):
        made.append(explain(copy, photo, 1, "relu2", **settings).maps["relu2"].raw)
        return {"relu2": made[-1]}

    check = sanity_check(network, photo, 1, "relu2", draws=1, **settings)
    expected = randomisation_test(network, make_maps, draws=1)
    np.testing.assert_array_equal(check.rank_correlation["relu2"], expected.rank_correlation["relu2"])
    np.testing.assert_array_equal(check.ssim["relu2"], expected.ssim["relu2"])
    plain = explain(network, photo, 1, "relu2").maps["relu2"].raw
    assert np.allclose(made[0], plain) == (not settings)  # so that maps made without the settings would be others


def test_without_a_class_all_maps_are_of_the_trained_networks_own():
    """A copy whose weights are random has another one."""
    network, photo = oblong_network(), noise(30, width=40)
    own = sanity_check(network, photo, network.predict(photo)[0].index, "relu2", draws=2)
    asked = sanity_check(network, photo, layers="relu2", draws=2)
    np.testing.assert_array_equal(asked.rank_correlation["relu2"], own.rank_correlation["relu2"])
    np.testing.assert_array_equal(asked.ssim["relu2"], own.ssim["relu2"])


def test_random_kernels_have_the_variance_of_their_fan_in():
    """He et al. 2015: 2 / n with n inputs of a cell; a depthwise kernel sees one channel only."""
    inputs = keras.Input((8, 10, 3))
    x = keras.layers.Conv2D(200, (3, 5), name="conv")(inputs)
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=3, padding="same", name="depthwise")(x)
    x = keras.layers.SeparableConv2D(300, 3, padding="same", name="separable")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(64, 1, name="point")(x))
    network = Classifier("kernels", seeded(keras.Model(inputs, keras.layers.Dense(40, name="head")(x))))
    drawn = []
    randomisation_test(network, lambda copy: drawn.append(copy.model) or {"edges": edges(noise(16))}, draws=1)
    kernels = {variable.path: variable.numpy() for variable in drawn[-1].weights if len(variable.shape) > 1}
    fans = {
        "conv/kernel": 3 * 5 * 3,
        "depthwise/kernel": 3 * 3,
        "separable/depthwise_kernel": 3 * 3,
        "separable/pointwise_kernel": 600,
        "point/kernel": 300,
        "head/kernel": 64,
    }
    assert set(kernels) == set(fans)
    for name, fan in fans.items():
        assert kernels[name].std() == pytest.approx(np.sqrt(2 / fan), rel=0.06), name
        assert abs(kernels[name].mean()) < 0.1 * kernels[name].std()


def test_random_weights_are_those_of_a_new_network():
    drawn = []
    randomisation_test(staged_network(), lambda copy: drawn.append(copy.model) or {"edges": edges(noise(16))}, draws=1)
    layers = [layer for layer in drawn[-1]._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert layers
    for layer in layers:
        for variable in layer.weights:
            assert set(variable.numpy()) == {float(variable.name in ("gamma", "moving_variance"))}
    kernels = [layer.kernel for layer in drawn[-1]._flatten_layers() if type(layer) is keras.layers.Conv2D]
    for kernel in kernels[1:]:
        assert kernel.numpy().std() == pytest.approx(np.sqrt(2 / np.prod(kernel.shape[:-1])), rel=0.05)


def test_the_network_is_bit_equal_before_and_after(photos):
    network = staged_network()
    batch = network.to_input(noise(90))
    before, logits = state(network), network.predict_logits(batch)
    sanity_check(network, noise(90), layers="last", draws=1)
    progress, calls = stop_at(2)
    with pytest.raises(StoppedError):
        sanity_check(network, noise(90), layers="last", draws=1, progress=progress)
    assert calls == [(1, 6), (2, 6)]
    assert_untouched(network, before)
    np.testing.assert_array_equal(network.predict_logits(batch), logits)


def test_a_network_inside_a_network_is_made_random_as_well():
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="a"), keras.layers.ReLU(), keras.layers.Conv2D(4, 3)],
        name="inner",
    )
    outer = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), inner, keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    network = Classifier("nested", outer)
    before = state(network)
    check = sanity_check(network, noise(8), layers="all", draws=1)
    assert check.randomised[-1] == "inner/a"
    assert len(check.randomised) == 3
    assert_untouched(network, before)


@pytest.mark.parametrize("is_nested", [False, True])
def test_statistics_of_the_input_are_copied_and_stay(is_nested):
    inputs = keras.Input((8, 8, 3))
    statistics = keras.layers.Normalization(name="statistics")
    front = keras.Sequential([keras.Input((8, 8, 3)), statistics], name="front") if is_nested else statistics
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(front(inputs))
    network = Classifier("normalised", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    statistics.adapt(noise(64).reshape(64, 8, 8, 3).astype(np.float32))
    seen = []

    def make_maps(copy):
        (mine,) = (layer for layer in copy.model._flatten_layers() if layer.name == "statistics")
        seen.append([np.array(mine.mean), *state(copy)[:2]])
        return {"conv": explain(copy, noise(8), 0).maps["conv"].raw}

    check = randomisation_test(network, make_maps, draws=1)
    for values in seen[1:]:
        for mine, its in zip(values, seen[0], strict=True):
            np.testing.assert_array_equal(mine, its)
    assert "statistics" not in check.randomised


@pytest.mark.parametrize(("factor", "what"), [(2.0, "Uncopied"), (np.float32(2), "Uncopied .*implement `get_config")])
def test_a_network_that_keras_cannot_copy_is_refused_with_a_sentence(factor, what):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(Uncopied(factor)(x))))
    with pytest.raises(NetworkError, match=rf"^own cannot be tested: Keras cannot copy it \(.*{what}.*\)\.$"):
        sanity_check(Classifier("own", model), noise(8))


class Uncopied(keras.layers.Layer):
    """A layer whose author has not said how to make it again."""

    def __init__(self, factor):
        super().__init__()
        self.factor = lambda x: factor * x

    def call(self, x):
        return self.factor(x)


@pytest.mark.parametrize("wrong", ["blocks", "draws"])
def test_numbers_of_blocks_and_draws_are_checked(wrong):
    with pytest.raises(SettingError, match=f"number of {wrong}.*not 0"):
        randomisation_test(deep_network(), lambda network: {}, **{wrong: 0})


def test_the_rank_correlation_is_the_correlation_of_mean_ranks():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (6, 7)), rng.integers(0, 9, (6, 7)) + rng.integers(0, 2, (6, 7))

    def ranks(values):
        flat = values.ravel()
        return [(flat < value).sum() + ((flat == value).sum() + 1) / 2 for value in flat]

    assert rank_correlation(a, b) == pytest.approx(np.corrcoef(ranks(a), ranks(b))[0, 1])
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert rank_correlation(a, np.ones((6, 7))) == 0


def test_ssim_is_the_formula_of_its_paper_window_by_window():
    rng = np.random.default_rng(0)
    a = rng.random((17, 23))
    b = np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1)
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    padded = [np.pad(x, 5, mode="reflect") for x in (a, b)]
    values = []
    for y, x in np.ndindex(a.shape):
        p, q = (image[y : y + 11, x : x + 11] for image in padded)
        mean_p, mean_q = (window * p).sum(), (window * q).sum()
        var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
        cov = (window * (p - mean_p) * (q - mean_q)).sum()
        values.append(
            (2 * mean_p * mean_q + 1e-4) * (2 * cov + 9e-4) / ((mean_p**2 + mean_q**2 + 1e-4) * (var_p + var_q + 9e-4))
        )
    assert ssim(a, b) == pytest.approx(np.mean(values), abs=1e-9)
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(np.zeros((20, 20)), np.ones((20, 20))) == pytest.approx(1e-4 / (1 + 1e-4))
