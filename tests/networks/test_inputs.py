"""Networks with several inputs or outputs, and how a network was read."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from tiny_networks import noise, seeded

import gradcam_core as gc
from gradcam_core.networks.classifier import Classifier
from gradcam_core.trust import sanity_check

PHOTO = noise(30, width=50)
SIZE = (12, 20)


def features(x, name="conv"):
    x = L.Rescaling(1 / 255, name=f"{name}_scaled")(x)
    return L.Conv2D(4, 3, padding="same", activation="relu", name=name)(x)


def by_hand(model, tensor, batch, row, index):
    """Grad-CAM of a layer from the network's own graph: (h, w) from the values of all its inputs."""
    parts = keras.Model(model.inputs, [tensor, row])
    import tensorflow as tf

    with tf.GradientTape() as tape:
        activation, logits = parts(batch)
        score = logits[0, index]
    gradient = tape.gradient(score, activation)[0]
    return np.einsum("hwc,c->hw", activation[0], np.mean(gradient, (0, 1)))


# --- what is given besides the photo ---


def test_a_value_that_the_network_does_not_know_is_refused_before_any_photo():
    photo, kind = keras.Input((*SIZE, 3), name="photo"), keras.Input((), name="kind", dtype="int32")
    seen = L.GlobalAveragePooling2D()(features(photo))
    model = seeded(keras.Model([photo, kind], L.Dense(2)(L.Concatenate()([seen, L.Embedding(4, 3)(kind)]))))
    assert Classifier("net", model, inputs={"kind": 3}).predict(PHOTO)
    with pytest.raises(
        gc.SettingError, match=r"net cannot be run with these values of its other inputs: .*4 is not in"
    ) as refused:
        Classifier("net", model, inputs={"kind": 4})
    assert "\n" not in str(refused.value)
    assert "{{" not in str(refused.value)


def test_a_single_number_may_stand_alone_or_in_a_list():
    photo, kind = keras.Input((*SIZE, 3), name="photo"), keras.Input((), name="kind", dtype="int32")
    age = keras.Input((1,), name="age")
    seen = L.Concatenate()([L.GlobalAveragePooling2D()(features(photo)), L.Embedding(4, 3)(kind), age])
    model = seeded(keras.Model([photo, kind, age], L.Dense(2)(seen)))
    alone, *others = (
        Classifier("net", model, inputs=dict(zip(("kind", "age"), given, strict=True))).predict(PHOTO)
        for given in ((3, 0.5), ([3], [0.5]), (np.array([3]), [[0.5]]))
    )
    assert others == [alone, alone]


def with_age():
    """A photo and two numbers; its inputs are a dict."""
    photo, about = keras.Input((*SIZE, 3), name="photo"), keras.Input((2,), name="about")
    seen = L.GlobalAveragePooling2D()(features(photo))
    hidden = L.Dense(6, activation="tanh")(L.Concatenate()([seen, about]))
    row = L.Dense(3, name="row")(hidden)
    return seeded(keras.Model({"photo": photo, "about": about}, L.Softmax(name="share")(row)))


@pytest.mark.parametrize("key", ["about", 0])
def test_values_for_the_other_input_go_with_every_photo(key):
    model = with_age()
    network = Classifier("with age", model, inputs={key: [0.5, -2]})
    given = {"photo": network.to_input(PHOTO), "about": np.float32([[0.5, -2]])}
    for index, one in enumerate(gc.explain_classes(network, PHOTO, [0, 1, 2])):
        assert one.target.probability == pytest.approx(float(model(given)[0, index]), abs=1e-6)
        expected = by_hand(model, model.get_layer("conv").output, given, model.get_layer("row").output, index)
        np.testing.assert_allclose(one.maps["conv"].raw, expected, atol=1e-4 * np.abs(expected).max())
    other = Classifier("other", model, inputs={key: [0.5, 2]})
    assert other.predict(PHOTO) != network.predict(PHOTO)
    assert sanity_check(network, PHOTO, 1, draws=1).passes.keys() == {"conv"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, r"also takes about \(None, 2\): give inputs="),
        ({"about": [1, 2, 3]}, r"'about' of net takes numbers of shape \(2,\), not a value of shape \(3,\)"),
        ({"about": "old"}, "takes numbers of shape .* not 'old'"),
        ({"age": 3}, r"net has no input 'age' \(inputs=\)\. It takes about .*, photo"),
        ({"about": [1, 2], "photo": PHOTO}, "'photo' of net takes the photo; inputs= gives the others"),
        ([1, 2], "is a dict of a value for each other input of net, not list"),
    ],
)
def test_what_does_not_go_with_the_other_inputs_gets_a_sentence(given, sentence):
    with pytest.raises(gc.SettingError, match=sentence):
        Classifier("net", with_age(), inputs=given)


def pair():
    """Two photos through one encoder: how alike are they?"""
    left, right = keras.Input((*SIZE, 3), name="left"), keras.Input((*SIZE, 3), name="right")
    encoder = keras.Sequential([keras.Input((*SIZE, 3)), L.Conv2D(4, 3, activation="relu", name="conv")], name="eye")
    apart = L.GlobalAveragePooling2D()(L.Subtract(name="apart")([encoder(left), encoder(right)]))
    return seeded(keras.Model([left, right], L.Dense(1, activation="sigmoid")(L.Rescaling(1 / 99)(apart))))


def test_of_two_photos_the_map_lies_over_the_one_that_is_named(tmp_path):
    model, other = pair(), noise(9, seed=7, width=33)
    path = tmp_path / "other.png"
    keras.utils.save_img(path, other, scale=False)
    for image, rest in (("left", "right"), ("right", "left")):
        network = Classifier("pair", model, image=image, inputs={rest: other})
        batches = {image: network.to_input(PHOTO), rest: network.to_input(other)}
        expected = float(model([batches["left"], batches["right"]])[0, 0])
        assert network.predict(PHOTO)[0].probability == pytest.approx(max(expected, 1 - expected), abs=1e-6)
        (name,) = [layer.name for layer in network.layers if layer.kind == "conv"]
        assert name == ("eye/conv" if image == "left" else "eye/conv#2")
        assert Classifier("pair", model, image=image, inputs={rest: path}).predict(PHOTO) == network.predict(PHOTO)
    with pytest.raises(gc.NetworkError, match=r"takes 2 images: left .*, right .*\. Say by image="):
        Classifier("pair", model)
    with pytest.raises(gc.SettingError, match=r"has no input 'middle' \(image=\)"):
        Classifier("pair", model, image="middle")


def test_the_other_photo_has_the_size_of_the_explained_one_where_any_fits_and_its_channels_where_they_belong():
    photo = keras.Input((*SIZE, 3), name="photo")
    free, first = keras.Input((None, None, 3), name="free"), keras.Input((3, None, None), name="first")
    turned = L.Permute((2, 3, 1))(first)
    seen = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, strides=2, activation="relu", name="conv")(photo))
    others = [L.GlobalAveragePooling2D()(L.Conv2D(4, 3, strides=2, activation="relu")(x)) for x in (free, turned)]
    model = seeded(
        keras.Model([photo, free, first], L.Dense(1)(L.Rescaling(1 / 255)(L.Concatenate()([seen, *others]))))
    )
    other = noise(9, seed=7, width=33)
    network = Classifier("three", model, image="photo", inputs={"free": other, "first": other}, input_size=SIZE)
    batch, same = network.to_input(PHOTO), network.to_input(other)
    expected = float(model([batch, same, np.moveaxis(same, -1, 1)])[0, 0])
    assert network.predict(PHOTO)[0].value == pytest.approx(expected, rel=1e-5)


class Own(keras.Model):
    """A model with a call of its own and two arguments."""

    def __init__(self):
        super().__init__()
        self.look, self.say = L.Conv2D(4, 3, activation="relu"), L.Dense(3)

    def call(self, images, about, training=None):
        seen = keras.ops.mean(self.look(images / 255), (1, 2))
        return self.say(keras.ops.concatenate([seen, about], -1))


def test_a_model_with_a_call_of_its_own_takes_values_by_the_names_of_its_arguments():
    model, about = Own(), np.float32([[3, -1]])
    model(np.zeros((1, *SIZE, 3), np.float32), about)
    seeded(model)
    network = Classifier("own", model, inputs={"about": about[0]})
    np.testing.assert_allclose(
        network.predict_logits(network.to_input(PHOTO)), model(network.to_input(PHOTO), about), atol=1e-5
    )
    assert [layer.name for layer in network.layers] == ["look"]
    with pytest.raises(gc.SettingError, match="own also takes about: give inputs="):
        Classifier("own", model)


# --- which output ---


def two_outputs(swapped=False):
    photo = keras.Input((*SIZE, 3))
    seen = L.GlobalAveragePooling2D()(features(photo))
    age, kind = L.Dense(1, name="age")(seen), L.Dense(3, activation="softmax", name="kind")(seen)
    return seeded(keras.Model(photo, [kind, age] if swapped else [age, kind]))


@pytest.mark.parametrize("swapped", [False, True])
def test_the_output_that_is_asked_for_is_explained_with_its_own_head(swapped):
    model = two_outputs(swapped)
    for output in ("kind", 1 - swapped):
        network = Classifier("two", model, output=output)
        found = gc.explain(network, PHOTO, 2).target.probability
        assert network.activation == "softmax"
        assert found == pytest.approx(float(model(network.to_input(PHOTO))[1 - swapped][0, 2]), abs=1e-6)
    keyed = keras.Model(model.input, {"what": model.outputs[1 - swapped], "old": model.outputs[swapped]})
    assert gc.explain(Classifier("keyed", keyed, output="what"), PHOTO, 2).target.probability == pytest.approx(found)
    for bad in ("size", 2, True):
        with pytest.raises(gc.SettingError, match=r"has no output .* It has: "):
            Classifier("two", model, output=bad)
    with pytest.raises(gc.NetworkError, match=r"has 2 outputs: .*age \(None, 1\).*\. Choose one by output="):
        Classifier("two", model)


def test_a_file_is_made_anew_for_other_values_and_says_how_its_photos_are_prepared(tmp_path):
    with_age().save(tmp_path / "age.keras")
    about = np.float32([0.5, -2])
    first = gc.load(tmp_path / "age.keras", inputs={"about": about}, preprocess="0..1")
    before = first.predict(PHOTO)
    about[:] = 3
    second = gc.load(tmp_path / "age.keras", inputs={"about": about}, preprocess="0..1")
    assert second.predict(PHOTO) != before
    assert first.predict(PHOTO) == before
    assert "given from 0 to 1" in first.about
    for settings in ({"inputs": [31]}, {"inputs": np.array([1, 2])}, {"inputs": {"about": [1, 2]}, "shown": 5}):
        with pytest.raises(gc.SettingError):
            gc.load(tmp_path / "age.keras", **settings)


@pytest.mark.parametrize("of", [np.array, tf.Variable, list])
def test_a_network_keeps_the_values_that_it_was_given(of):
    about, values = of(np.float32([0.5, -2])), np.float32([0.5, -2])
    network, same = (Classifier("net", with_age(), inputs={"about": given}) for given in (about, values))
    about.assign([0, 0]) if of is tf.Variable else about.__setitem__(slice(None), [0, 0])
    found, expected = (gc.explain(one, PHOTO, 1, method="guided").maps["conv"].raw for one in (network, same))
    assert expected.any()  # by a method that has its own way through the network, which is only now laid
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert network.around(network.model).predict(PHOTO) == same.predict(PHOTO)


@pytest.mark.parametrize(("shape", "what"), [((24, 9), "Signals and sequences"), ((4, 5, 6, 1), "Volumes")])
def test_signals_and_volumes_are_refused_by_name(shape, what):
    given = keras.Input(shape)
    with pytest.raises(gc.NetworkError, match=rf"an image of shape .* is needed\. {what} are not explained"):
        Classifier("other", keras.Model(given, L.Dense(2)(L.Flatten()(given))))


def ending(activation=None, units=3, pixels=False):
    photo = keras.Input((*SIZE, 3))
    x = L.Conv2D(4, 3, padding="same", name="conv")(photo)
    x = L.Conv2D(units, 1)(x) if pixels else L.Dense(units)(L.GlobalAveragePooling2D()(x))
    return seeded(keras.Model(photo, L.Activation(activation)(x) if activation else x))


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        (ending("softmax"), {}, "brought to 20 x 12 pixels and given from 0 to 255. Its output is a softmax."),
        (ending("sigmoid"), {"preprocess": "0..1"}, "given from 0 to 1. Its outputs are sigmoids, each for itself."),
        (
            ending("sigmoid", 1),
            {"preprocess": "-1..1"},
            "given from -1 to 1. Its output is one sigmoid, ",
        ),
        (
            ending(),
            {"preprocess": "vgg16"},
            "given as VGG16 takes them. Its outputs are logits; ",
        ),
        (ending(None, 1), {}, "Its outputs are values, shown as they are."),
        (ending("softmax", 4, True), {}, "It gives each pixel a class; what is shown is the share of the photo."),
        (ending("softmax"), {"preprocess": np.negative}, "given as a function of its own prepares them. "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_network_says_how_it_was_read(model, settings, words):
    about = Classifier("net", model, **settings).about
    assert about.startswith("Photos are brought to 20 x 12 pixels and given ")
    assert words in about
