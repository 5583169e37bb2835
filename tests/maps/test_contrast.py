"""Why this and not that, what speaks against a class, and several layers in one map."""

import numpy as np
import pytest
from tiny_networks import cam_network, deep_network, noise

import gradcam_core as gc
from gradcam_core.pictures.render import resize_heat


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


def test_layers_are_fused_by_maximum_or_product():
    found = gc.explain(deep_network(), noise(), 1, "stages")
    shape = max(m.raw.shape for m in found.maps.values())
    heats = [resize_heat(m.heat, shape[1], shape[0]) for m in found.maps.values()]
    np.testing.assert_array_equal(found.fused("maximum"), np.max(heats, axis=0))
    product = np.prod(heats, axis=0)
    np.testing.assert_allclose(found.fused("product"), product / product.max(), atol=1e-6)
    with pytest.raises(gc.SettingError, match="'maximum' or 'product', not 'sum'"):
        found.fused("sum")


def test_layers_that_hardly_agree_are_fused_up_to_their_peak_too():
    found = gc.explain(deep_network(), noise(), 1, ["relu2", "relu3"])
    for place, heat_map in zip([(0, 0), (-1, -1)], found.maps.values(), strict=True):
        heat_map.raw[:] = 1e-8
        heat_map.raw[place] = 1
    assert found.fused("product").max() == 1


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
