"""Networks that give values, and not probabilities of classes: what is shown is the network's own number."""

import pickle
import re

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded

import gradcam_core as gc
from gradcam_core.networks.measures import percent, said, trained_for
from gradcam_core.trust import assess, hide_hottest, sanity_check
from ui.answers import guesses
from ui.choices import class_choices, network_note
from ui.map_tests import assessment_html

PHOTO = noise(12, seed=3, width=20)


def network(outputs=1, activation=None, after=None, loss=None, **settings) -> gc.Classifier:
    inputs = keras.Input((12, 20, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(outputs, activation=activation)(keras.layers.GlobalAveragePooling2D()(x))
    model = seeded(keras.Model(inputs, x if after is None else after(x)))
    if loss:
        model.compile(loss=loss)
    return gc.Classifier("own", model, **settings)


def own(network: gc.Classifier) -> np.ndarray:
    return network.model(network.to_input(PHOTO)).numpy().reshape(-1)


@pytest.mark.parametrize(
    ("activation", "after"),
    [
        (None, None),
        ("relu", None),
        ("tanh", None),
        ("softplus", None),
        (None, lambda x: 40 * keras.ops.sigmoid(x) + 7),
        (None, keras.layers.Rescaling(90, 20)),
        (None, keras.layers.Flatten()),
    ],
)
def test_one_output_without_a_sigmoid_is_the_networks_own_value(activation, after):
    found = network(activation=activation, after=after)
    (value,) = found.predict(PHOTO)
    assert (value.name, value.probability) == ("value", None)
    assert value.value == pytest.approx(own(found)[0], rel=1e-5)
    assert gc.explain(found, PHOTO).target.value == pytest.approx(own(found)[0], rel=1e-5)
    assert any("shown as a value" in note for note in found.notes)


@pytest.mark.parametrize("activation", ["sigmoid", "hard_sigmoid"])
def test_one_sigmoid_stays_two_classes(activation):
    found = network(activation=activation)
    assert [one.value for one in found.predict(PHOTO)] == [None, None]


def test_the_one_value_is_meant_by_its_index_and_by_that_of_a_sigmoids_class():
    found = network()
    assert gc.explain(found, PHOTO, 1).target == gc.explain(found, PHOTO, 0).target == gc.explain(found, PHOTO).target
    for target in (2, -1):
        with pytest.raises(gc.TargetError):
            gc.explain(found, PHOTO, target)
    with pytest.raises(gc.TargetError):
        gc.explain(network(outputs=1, activation="sigmoid"), PHOTO, 2)


def test_the_map_of_a_value_is_that_of_the_value():
    found = network()
    (heat_map,) = gc.explain(found, PHOTO).maps.values()
    up, down = heat_map.raw, next(iter(gc.explain(found, PHOTO, against=True).maps.values())).raw
    np.testing.assert_allclose(up, -down, atol=1e-6)
    same = gc.explain(found, PHOTO, score="probability").maps["conv"].raw
    np.testing.assert_array_equal(same, up)


def test_names_say_what_a_single_number_is():
    age = network(labels=["age"])
    assert [(one.name, one.text) for one in age.predict(PHOTO)] == [("age", said(own(age)[0], "value"))]
    assert age.notes == ()
    two = network(labels=["cat", "dog"])
    assert {one.name: one.probability for one in two.predict(PHOTO)} == pytest.approx(
        {"dog": 1 / (1 + np.exp(-own(two)[0])), "cat": 1 / (1 + np.exp(own(two)[0]))}, abs=1e-6
    )


@pytest.mark.parametrize(
    ("outputs", "loss", "measures"),
    [
        (1, keras.losses.BinaryCrossentropy(from_logits=True), "probability"),
        (3, keras.losses.CategoricalCrossentropy(from_logits=True), "probability"),
        (3, "mse", "value"),
        (3, keras.losses.Huber(), "value"),
        (3, None, "probability"),
    ],
)
def test_the_loss_of_a_compiled_model_says_what_linear_outputs_are(outputs, loss, measures):
    found = network(outputs, loss=loss)
    assert found.measures == measures
    assert not any("shown as a value" in note for note in found.notes)


def test_several_values_stand_in_the_order_of_the_outputs():
    found = network(3, loss="mae", labels=["x", "y", "width"], after=keras.layers.Rescaling(-1.0))
    assert own(found).argmax() != 0
    assert [one.value for one in found.predict(PHOTO)] == pytest.approx(own(found).tolist(), rel=1e-5)
    assert [one.name for one in found.predict(PHOTO, top=2)] == ["x", "y"]
    first, highest = gc.explain(found, PHOTO), gc.explain(found, PHOTO, int(own(found).argmax()))
    assert first.target.index == 0
    np.testing.assert_array_equal(first.maps["conv"].raw, gc.explain(found, PHOTO, "x").maps["conv"].raw)
    assert not np.allclose(first.maps["conv"].raw, highest.maps["conv"].raw)
    assert network(2, loss="mae").labels[1].name == "value 1"
    assert network(3, loss="mae", measures="probability").predict(PHOTO)[0].value is None


def test_what_outputs_are_can_be_said_wherever_a_network_is_loaded(tmp_path):
    model = network(3).model
    model.save(tmp_path / "three.keras")
    for given in (model, tmp_path / "three.keras"):
        assert gc.load(given).measures == "probability"
        assert gc.load(given, measures="value").predict(PHOTO)[0].value == pytest.approx(own(network(3))[0], rel=1e-5)
        assert gc.load(given).measures == "probability"
    with pytest.raises(gc.SettingError, match="EfficientNetLite0 has its own class names"):
        gc.load("EfficientNetLite0", measures="value")


@pytest.mark.parametrize("measures", ["value", "probability"])
def test_a_copy_in_another_process_gives_what_the_network_was_said_to_give(measures):
    found = network(2, measures=measures)
    copy = pickle.loads(pickle.dumps(found))
    assert copy.measures == found.measures == measures
    assert copy.predict(PHOTO) == found.predict(PHOTO)


def test_what_outputs_are_is_one_of_the_known_words():
    with pytest.raises(gc.SettingError, match="'age'"):
        network(measures="age")


@pytest.mark.parametrize(
    ("loss", "measures"),
    [
        ("mean_squared_error", "value"),
        ("MeanAbsoluteError", "value"),
        ("squared_hinge", "probability"),
        (keras.losses.LogCosh(), "value"),
        (keras.losses.kl_divergence, "probability"),
        ({"class_name": "function", "config": "mse"}, "value"),
        ({"class_name": "SparseCategoricalCrossentropy", "config": {}}, "probability"),
        ({"age": "mse"}, "value"),
        (["mse", "mae"], None),
        ("my_own", None),
        (None, None),
    ],
)
def test_a_loss_is_known_in_each_way_of_writing_it(loss, measures):
    assert trained_for(loss) == measures


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: keras.ops.argmax(x, -1),
        lambda x: keras.ops.cast(keras.ops.argmax(x, -1), "float32")[:, None],
        lambda x: keras.ops.one_hot(keras.ops.argmax(x, -1), 3),
        lambda x: keras.ops.cast(keras.ops.sigmoid(x) > 0.5, "float32"),
        lambda x: keras.ops.round(keras.ops.sigmoid(x)),
        lambda x: keras.ops.top_k(x, 2)[1],
    ],
)
def test_a_network_that_gives_what_it_decided_for_is_refused(decide):
    with pytest.raises(gc.NetworkError, match=r"decided for .*ends before that"):
        network(3, after=decide)


def test_a_value_is_put_to_the_tests_in_its_own_units():
    found = network(after=keras.layers.Rescaling(90, 20), labels=["age"])
    explanation = gc.explain(found, PHOTO)
    tests = assess(found, explanation, steps=4)
    test = tests.maps["conv"]
    assert test.curves.deletion[0] == pytest.approx(own(found)[0], rel=1e-4)
    assert (test.drop, test.increase, tests.random.drop) == (None, None, None)
    hidden = hide_hottest(found, PHOTO, None, explanation.maps["conv"].heat, test.share)
    assert hidden.target.value == pytest.approx(test.hidden)
    assert f"age from {explanation.target.text} to {hidden.target.text}; hiding" in test.sentence
    assert set(sanity_check(found, PHOTO, draws=1).passes) == {"conv"}
    html = assessment_html(tests).replace("&nbsp;", " ")
    assert "The curves are the value of age" in html
    heights = [float(y) for y in re.findall(r"[\d.]+,(-?[\d.]+)", html.partition("<svg")[2])]
    assert min(heights) >= 0
    assert max(heights) <= 100
    assert "%" not in html.partition("<tbody>")[2].partition("</tbody>")[0]


def test_a_value_goes_over_the_wire_as_one():
    found = network(labels=["age"])
    (guess,) = guesses(found.predict(PHOTO))
    assert (guess.probability, guess.text) == (None, said(guess.value, "value"))
    assert class_choices(found, found.predict(PHOTO)) == [(f"age · {guess.text}", 0)]
    assert network_note(found).startswith("One value, 0.0 million parameters.")


@pytest.mark.parametrize(
    ("share", "written"),
    [(0.87312, "87.3 %"), (0.2, "20 %"), (0.00099, "<0.1 %"), (0.0, "0 %"), (1.0, "100 %"), (0.0825, "8.2 %")],
)
def test_shares_are_written_with_one_decimal_where_they_have_one(share, written):
    assert percent(share) == written
