"""A network with its input, its preprocessing and its class names."""

import keras
import numpy as np
import pytest
from tiny_networks import cam_network, deep_network, noise, seeded

from gradcam_core import NetworkError, SettingError, TargetError
from gradcam_core.networks.classifier import Classifier


def named(*names):
    return Classifier("birds", cam_network(classes=len(names)).model, labels=list(names))


BIRDS = [("n01", "crane"), ("n02", "Great_Grey Owl"), ("n03", "crane"), ("n04", "school bus")]


@pytest.mark.parametrize(
    ("target", "index"),
    [
        (None, None),
        (2, 2),
        (np.int64(1), 1),
        ("2", 2),
        ("great grey owl", 1),
        ("School_Bus", 3),
        (" great_  grey\towl", 1),
        ("n03", 2),
        (" n04 ", 3),
    ],
)
def test_a_class_is_named_by_index_name_or_wordnet_id(target, index):
    assert named(*BIRDS).resolve_target(target) == index


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("crane", r"names 2 classes of birds: crane \(0\), crane \(2\)"),
        ("owl", r"no class 'owl'. Nearest: Great_Grey Owl \(1\)"),
        ("schol bus", r"Nearest: school bus \(3\)"),
        ("xyzzy", "no class 'xyzzy'. Give its index"),
        (4, "classes 0 to 3; 4 is not"),
        ("-1", "no class '-1'"),
        (-1, "classes 0 to 3"),
        ("", "an index, a name or a WordNet id"),
        (True, "an index, a name or a WordNet id"),
        (1.5, "an index, a name or a WordNet id"),
        (["crane"], "an index, a name or a WordNet id"),
    ],
)
def test_an_unclear_class_is_answered_with_the_nearest(target, sentence):
    with pytest.raises(TargetError, match=sentence):
        named(*BIRDS).resolve_target(target)


ENDLESS = ["9" * 5000, "-" + "9" * 5000, "٣" * 5000, "x" * 10**6, 10**5000, -(10**5000)]


@pytest.mark.parametrize("target", ENDLESS, ids=range(len(ENDLESS)))
def test_an_endless_class_is_refused_in_a_sentence(target):
    with pytest.raises(TargetError) as error:
        named(*BIRDS).resolve_target(target)
    assert len(str(error.value)) < 200


def test_a_name_made_of_digits_wins_over_an_index():
    assert named("zero", "7", "one").resolve_target("7") == 1


def test_there_are_no_more_predictions_than_classes():
    assert {guess.index for guess in cam_network(classes=3).predict(noise(12), top=1000)} == {0, 1, 2}


def test_predictions_are_the_models_own_probabilities_most_probable_first():
    network = deep_network("softmax")
    expected = network.model(network.to_input(noise())).numpy()[0]
    found = network.predict(noise(), top=3)
    assert [p.index for p in found] == list(np.argsort(-expected)[:3])
    np.testing.assert_allclose([p.probability for p in found], np.sort(expected)[::-1][:3], atol=1e-6)


def test_the_whole_photo_is_scaled_to_the_input_whatever_its_shape():
    network = cam_network()
    wide = np.zeros((5, 1200, 3), np.uint8)
    wide[:, 600:] = 200
    batch = network.to_input(wide)
    assert batch.shape == (1, 12, 12, 3)
    assert batch.dtype == np.float32
    assert (batch[0, :, :6] == 0).all()
    assert (batch[0, :, 6:] == 200).all()


def test_shrinking_averages_every_pixel():
    photo = np.zeros((24, 24, 3), np.uint8)
    photo[::2, ::2] = 200  # one of four
    assert (cam_network().to_input(photo) == 50).all()


def test_preprocessing_works_on_a_copy_of_the_photo():
    def in_place(x):
        x -= 100
        return x[..., ::-1]

    photo = noise(12)
    before = photo.copy()
    network = Classifier("bgr", cam_network().model, preprocess=in_place)
    np.testing.assert_array_equal(network.to_input(photo)[0], photo[..., ::-1].astype(np.float32) - 100)
    np.testing.assert_array_equal(photo, before)


def test_a_network_for_any_size_takes_the_size_given():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3, padding="same", name="conv")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    assert Classifier("any", model).input_size == (224, 224)
    assert Classifier("any", model, input_size=(40, 60)).layers[0].shape == (40, 60, 2)


@pytest.mark.parametrize("size", [(0, 0), (-4, 5), "ab", 20, (20,), (20.5, 20), (True, 20)])
def test_an_input_size_that_is_none_is_refused(size):
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(SettingError, match="in whole pixels from 1 up, not"):
        Classifier("any", keras.Model(inputs, outputs), input_size=size)


def test_an_input_size_of_which_the_layers_leave_nothing_is_refused():
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 5)(keras.layers.MaxPooling2D(4)(inputs)))
    model = keras.Model(inputs, outputs)
    assert Classifier("any", model, input_size=(20, 20)).layers[0].shape == (5, 5, 3)
    with pytest.raises(SettingError, match=r"any cannot take photos of 8 x 8 pixels.*Give another input size"):
        Classifier("any", model, input_size=(8, 8))


def test_an_input_size_that_is_not_the_models_is_refused():
    with pytest.raises(SettingError, match=r"cam takes photos of \(12, 12\), \(height, width\), and no others"):
        Classifier("cam", cam_network().model, input_size=(24, 12))


@pytest.mark.parametrize("top", [0, -1, 2.5, True, "5"])
def test_a_number_of_predictions_that_is_none_is_refused(top):
    with pytest.raises(SettingError, match="a whole number from 1 up, not"):
        cam_network().predict(noise(12), top)


class Subclassed(keras.Model):
    def call(self, x):
        return x


def dense(shape, classes=2):
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Dense(classes)(inputs))


@pytest.mark.parametrize(
    ("model", "labels", "sentence"),
    [
        (Subclassed(), None, "not a Keras model that has been built"),
        (keras.Sequential([keras.layers.Dense(2)]), None, "not a Keras model that has been built"),
        ("network.keras", None, "mine is 'network.keras', and not a model of Keras 3"),
        (None, None, "mine is None, and not a model of Keras 3"),
        (keras.layers.Dense(2), None, r"mine is an object of keras\.src\.layers.*Dense, and not a model"),
        (dense((5,)), None, r"takes \(None, 5\)"),
        (keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Reshape((16, 9))]), None, r"gives \(None, 16, 9\)"),
        (cam_network().model, ["one"], "3 classes, but 1 names"),
    ],
)
def test_a_model_that_cannot_be_explained_is_refused_with_the_reason(model, labels, sentence):
    with pytest.raises(NetworkError, match=sentence):
        Classifier("mine", model, labels)


def test_a_softmax_inside_a_last_convolution_is_read_before_it():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 8, activation="softmax", name="last")(inputs)
    model = seeded(keras.Model(inputs, x))
    assert shown(Classifier("convolutional", model)) == pytest.approx(model(noise(8)[None]).numpy().ravel(), abs=1e-6)


def shown(network, photo=None):
    """The percentages by class, as shares."""
    found = network.predict(noise(network.input_size[0]) if photo is None else photo, len(network.labels))
    return [prediction.probability for prediction in sorted(found, key=lambda p: p.index)]


def headed(head, outputs=3):
    """A network that ends in a function of its logits."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x))
    return seeded(keras.Model(inputs, head(keras.layers.Dense(outputs)(x))))


@pytest.mark.parametrize(
    ("outputs", "head"),
    [
        (3, lambda z: 0.5 * (1 + keras.ops.tanh(z))),
        (3, lambda z: keras.ops.square(z) / keras.ops.sum(keras.ops.square(z), -1, keepdims=True)),
        (3, keras.ops.hard_sigmoid),
    ],
)
def test_probabilities_without_logits_are_shown_as_they_are_and_the_visitor_is_told(outputs, head):
    model = headed(head, outputs)
    network = Classifier("own", model)
    photo = noise(8, seed=3)
    assert shown(network, photo) == pytest.approx(model(photo[None]).numpy().ravel(), abs=1e-6)
    assert network.activation == "none"
    assert "explained as they are" in network.notes[0]


def test_one_probability_without_logits_stands_for_two_classes():
    model = headed(lambda z: 0.5 * (1 + keras.ops.tanh(z)), 1)
    network = Classifier("own", model)
    own = float(model(noise(8)[None]).numpy().item())
    assert shown(network) == pytest.approx([1 - own, own], abs=1e-6)


def test_a_head_that_only_looks_like_a_softmax_is_not_taken_for_one():
    """Half of a softmax is no softmax: the network's own output is shown."""
    model = headed(lambda z: keras.ops.softmax(z) * 0.5)
    assert shown(Classifier("half", model)) == pytest.approx(model(noise(8)[None]).numpy().ravel(), abs=1e-6)


def test_a_head_that_is_cut_off_is_held_against_the_networks_own_output():
    """Its graph is that of a softmax, as with a clip to 1e-7; its numbers are not."""
    model = headed(lambda z: keras.ops.clip(keras.ops.softmax(z), 0.3, 0.4))
    network = Classifier("cut", model)
    assert shown(network) == pytest.approx(model(noise(8)[None]).numpy().ravel(), abs=1e-6)
    assert network.activation == "none"


def test_one_probability_of_many_that_is_not_the_softmaxs_own_is_enough():
    model = headed(lambda z: keras.ops.clip(keras.ops.softmax(9 * z), 0, 0.04), 2000)
    network, photo = Classifier("cut", model), noise(8)
    own = model(photo[None]).numpy().ravel()
    assert 0 < (own > 0.0399).sum() < 9
    assert shown(network, photo) == pytest.approx(own, abs=1e-6)


def test_logits_from_zero_to_one_are_still_logits():
    model = headed(lambda z: z)
    model.layers[-1].set_weights([np.zeros((4, 3), np.float32), np.float32([0.1, 0.2, 0.4])])
    network = Classifier("small", model)
    assert network.activation == "linear"
    assert not network.notes


@pytest.mark.parametrize(
    ("preprocess", "sentence"),
    [
        (lambda x: x[0] / 255, r"an array of shape \(8, 8, 3\); it must give \(1, 8, 8, 3\)"),
        (lambda x: None, "gives nothing"),
        (lambda x: x.mean(-1, keepdims=True), r"\(1, 8, 8, 1\)"),
        (lambda x: x[:, ::2], r"\(1, 4, 8, 3\)"),
        (lambda x: x * float("nan"), "not numbers"),
        (lambda x: x / "255", "fails: "),
        (lambda x: "photo", "fails: ValueError"),
        (1 / 255, "is a function of a batch"),
    ],
)
def test_a_preprocessing_whose_result_does_not_fit_is_refused(preprocess, sentence):
    with pytest.raises(SettingError, match=sentence):
        Classifier("own", headed(lambda z: z), preprocess=preprocess).predict(noise(8))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 3, activation="relu")
        self.head = keras.layers.Dense(3, activation="softmax")

    def call(self, x):
        return self.head(keras.ops.mean(self.conv(x / 255), (1, 2)))


def test_a_model_with_a_call_of_its_own_is_used_like_any_other():
    model = Own()
    model(np.zeros((2, 8, 6, 3), np.float32))
    network = Classifier("own", seeded(model))
    assert network.input_size == (8, 6)
    assert [layer.name for layer in network.layers] == ["conv"]
    photo = noise(9)
    own = model(network.to_input(photo)).numpy().ravel()
    assert shown(network, photo) == pytest.approx(own, abs=1e-6)
    assert Classifier("own", model, input_size=(12, 10)).layers[0].shape == (10, 8, 4)
