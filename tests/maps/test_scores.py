"""What is explained: the logit, the probability of each kind of head, and sums of both; in closed form."""

import keras
import numpy as np
import pytest
from tiny_networks import cam_network, colour_network, noise, oblong_network

import gradcam_core as gc
from gradcam_core.maps import gradients
from gradcam_core.pictures.render import resize_heat

PHOTO = noise(12)


def raw(network: gc.Classifier, target: int, score: str = "logit", **more) -> np.ndarray:
    return gc.explain(network, PHOTO, target, "relu", score=score, **more).maps["relu"].raw


def probabilities(network: gc.Classifier) -> np.ndarray:
    return network.model(network.to_input(PHOTO)).numpy()[0].astype(float)


def assert_maps_agree(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_probability_of_a_softmax_weighs_all_classes():
    """dp_t/dA is the sum over c of p_t (1[t = c] - p_c) dz_c/dA."""
    network = cam_network("softmax")
    p, maps = probabilities(network), [raw(network, c) for c in range(3)]
    for t in range(3):
        assert_maps_agree(raw(network, t, "probability"), sum(p[t] * ((t == c) - p[c]) * maps[c] for c in range(3)))


def test_the_probability_of_one_of_several_sigmoids_asks_no_other_class():
    """dp_t/dA is p_t (1 - p_t) dz_t/dA."""
    network = cam_network("sigmoid")
    p = probabilities(network)
    for t in range(3):
        assert_maps_agree(raw(network, t, "probability"), p[t] * (1 - p[t]) * raw(network, t))


def test_the_probability_of_one_sigmoid_is_that_of_two_classes():
    """The classes' logits are -z/2 and z/2, and their probabilities 1 - p and p."""
    network = cam_network("sigmoid", classes=1)
    (p,) = probabilities(network)
    logit = cam_network(None, classes=1)
    yes = logit.model(logit.to_input(PHOTO)).numpy()[0, 0]
    found = network.predict_logits(network.to_input(PHOTO))[0]
    np.testing.assert_allclose(found, [-yes / 2, yes / 2], atol=1e-6)
    assert [x.probability for x in sorted(network.predict(PHOTO), key=lambda x: x.index)] == pytest.approx([1 - p, p])
    for t, sign in ((0, -1), (1, 1)):
        assert_maps_agree(raw(network, t, "probability"), 2 * p * (1 - p) * raw(network, t))
        assert_maps_agree(raw(network, t, "probability"), sign * 2 * p * (1 - p) * raw(network, 1))


def test_methods_of_several_passes_explain_the_probability_too():
    network, photo = oblong_network("softmax"), noise(12, width=20)
    batch, channels = network.to_input(photo), gradients.trace(network, ("relu2",), lambda a, g: a)

    def map_of(photo=photo, score="probability", **how) -> gc.HeatMap:
        return gc.explain(network, photo, 1, "relu2", score=score, **how).maps["relu2"]

    plain = map_of()
    assert_maps_agree(map_of(smoothing="flips").raw, (plain.raw + map_of(photo[:, ::-1]).raw[:, ::-1]) / 2)
    map_of(score="logit", method="guided")  # whose passes are others
    guided = gradients.guided_backpropagation(network, "probability")(batch, np.eye(4, dtype=np.float32)[1])
    expected = resize_heat(plain.heat, width=20, height=12) * plain.peak * np.abs(guided).max(-1)
    assert_maps_agree(map_of(method="guided").raw, expected)
    activation = channels(batch, 0)[1]["relu2"]
    activation = activation[..., np.ptp(activation, (0, 1)) > 0]
    masks = [resize_heat((a - a.min()) / np.ptp(a), width=20, height=12) for a in np.moveaxis(activation, -1, 0)]
    seen = np.stack([batch[0] * ((mask - mask.min()) / np.ptp(mask))[..., None] for mask in masks])
    gains = np.exp(network.model(seen).numpy()[:, 1])  # the photo in black is the same for all
    assert_maps_agree(map_of(method="scorecam").raw, activation @ (gains / gains.sum()))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_contrast_of_probabilities_is_the_difference_of_their_maps(activation):
    network = cam_network(activation)
    one, other = raw(network, 2, "probability"), raw(network, 0, "probability")
    assert_maps_agree(raw(network, 2, "probability", instead_of=0, weight=0.25), one - 0.25 * other)
    assert_maps_agree(raw(network, 2, "probability", instead_of=0, weight=3, against=True), 3 * other - one)
    assert_maps_agree(raw(network, 2, "probability", instead_of=0, weight=0), one)


def test_of_several_classes_each_is_held_against_the_other():
    network = cam_network(classes=4)
    found = gc.explain_classes(network, PHOTO, [1, None, 0], "relu", instead_of=_worst(network), weight=2)
    for result in found:
        expected = raw(network, result.target.index) - 2 * raw(network, _worst(network))
        assert_maps_agree(result.maps["relu"].raw, expected)
        assert result.weight == 2
        assert result.instead_of.index == _worst(network)
    assert [result.target.index for result in found] == [1, network.predict(PHOTO)[0].index, 0]


def _worst(network: gc.Classifier) -> int:
    return network.predict(PHOTO, 4)[-1].index


@pytest.mark.parametrize("more", [{"against": True}, {"smoothing": "flips"}, {"method": "scorecam"}, {}])
def test_without_a_class_the_most_probable_one_is_explained_whatever_else_is_asked(more):
    network = oblong_network("softmax")
    best = network.predict(PHOTO)[0].index
    found, named = (gc.explain(network, PHOTO, target, "relu2", **more) for target in (None, best))
    assert found.target == named.target == found.predictions[0]
    np.testing.assert_allclose(found.maps["relu2"].raw, named.maps["relu2"].raw, atol=1e-6)


def test_the_most_probable_class_cannot_be_held_against_itself():
    network = cam_network()
    best = network.predict(PHOTO)[0]
    with pytest.raises(gc.TargetError, match=f"^{best.name} cannot be held against itself"):
        gc.explain(network, PHOTO, instead_of=best.index)


def test_equally_probable_classes_come_in_their_order():
    network = cam_network("softmax", classes=90)
    head = network.model.get_layer("head")
    kernel, bias = head.get_weights()
    bias[:] = -5
    bias[[70, 11, 40]] = 3
    head.set_weights([kernel * 0, bias])
    order = [prediction.index for prediction in network.predict(PHOTO, 90)]
    assert order == [11, 40, 70, *(index for index in range(90) if index not in (11, 40, 70))]
    result = gc.explain(network, PHOTO)
    assert result.target.index == 11
    assert [prediction.index for prediction in result.predictions] == [11, 40, 70, 0, 1]


@pytest.mark.parametrize("more", [{}, {"against": True}, {"smoothing": "flips"}, {"method": "scorecam"}])
def test_of_equally_probable_classes_the_map_is_that_of_the_one_that_is_named(more):
    """As much red as blue, in different places."""
    network, photo = colour_network(), np.zeros((12, 12, 3), np.uint8)
    photo[:, :4, 0] = photo[:, 6:10, 2] = 255
    assert np.ptp(network.predict_logits(network.to_input(photo))) == 0
    red, blue = gc.explain_classes(network, photo, ["red", "blue"], **more)
    for found in (gc.explain(network, photo, **more), gc.explain_classes(network, photo, [1, None], **more)[1]):
        assert found.target == red.target
        assert_maps_agree(found.maps["conv"].raw, red.maps["conv"].raw)
    assert not np.allclose(red.maps["conv"].raw, blue.maps["conv"].raw)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.filterwarnings("error")
def test_huge_logits_have_probabilities_without_overflow(activation):
    network = cam_network(activation)
    found = network.probabilities(np.float32([2000, -2000, 1990]))
    assert found.dtype == np.float32
    expected = [1, 0, 1] if activation == "sigmoid" else [1, 0, np.exp(-10)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_contrast_shows_each_class_with_its_own_probability():
    network = cam_network("softmax")
    p = probabilities(network)
    found = gc.explain(network, PHOTO, 2, instead_of=1)
    assert (found.target.index, found.instead_of.index) == (2, 1)
    assert found.target.probability == pytest.approx(p[2], abs=1e-6)
    assert found.instead_of.probability == pytest.approx(p[1], abs=1e-6)
    assert found.score == "logit"
    assert gc.explain(network, PHOTO, 2, score="probability").score == "probability"


def test_answers_that_are_not_numbers_are_refused_also_where_the_map_is_finite():
    network = cam_network()
    kernel, bias = network.model.get_layer("head").get_weights()
    network.model.get_layer("head").set_weights([kernel, bias + np.float32([0, 0, np.inf])])
    with pytest.raises(gc.NetworkError, match="cam gives values that are not numbers"):
        gc.explain(network, PHOTO, 1, "relu")


def test_maps_that_are_not_numbers_are_refused_also_where_the_logits_are_finite():
    inputs = keras.Input((8, 10, 3))
    x = keras.layers.Conv2D(2, 3, name="conv", kernel_initializer="zeros")(inputs)
    roots = keras.ops.sqrt(x)  # whose gradient at 0 is infinite
    network = gc.Classifier("roots", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(roots))))
    assert np.isfinite(network.predict_logits(network.to_input(PHOTO))).all()
    with pytest.raises(gc.NetworkError, match="roots gives values that are not numbers"):
        gc.explain(network, PHOTO, 1, "conv")
