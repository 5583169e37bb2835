"""Stages by strides: uneven ones, ways back up, lanes of several sizes, and what takes a cell but no stride."""

import keras
import pytest
from tiny_networks import seeded

import gradcam_core as gc


def conv(name, strides=1, size=3, padding="same", filters=4):
    return keras.layers.Conv2D(filters, size, strides, padding=padding, activation="relu", name=name)


def listed(*layers, size=(24, 40)):
    """(name, stage, cell, whether it stands for its stage) of the layers in a row."""
    x = inputs = keras.Input((*size, 3))
    for layer in layers:
        x = layer(x)
    return of(inputs, x)


def of(inputs, features):
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features))
    network = gc.Classifier("own", seeded(keras.Model(inputs, outputs)))
    return [(layer.name, layer.stage, layer.cell, layer.preset) for layer in gc.summary(network)]


@pytest.mark.parametrize(("strides", "cell"), [((1, 2), (1, 2)), ((2, 1), (2, 1)), ((2, 3), (2, 3))])
def test_a_stride_along_one_side_begins_a_stage(strides, cell):
    height, width = cell
    assert listed(conv("whole"), conv("uneven", strides), conv("after"), size=(24, 36)) == [
        ("whole", 1, (1, 1), True),
        ("uneven", 2, (height, width), False),
        ("after", 2, (height, width), True),
    ]


def test_a_pool_along_one_side_begins_a_stage_after_it():
    pool = keras.layers.MaxPooling2D((1, 2), name="pool")
    assert listed(conv("whole"), pool, conv("after")) == [
        ("whole", 1, (1, 1), True),
        ("pool", 1, (1, 2), False),
        ("after", 2, (1, 2), True),
    ]


@pytest.mark.parametrize(("size", "cell"), [((12, 40), (2, 1)), ((24, 20), (1, 2)), ((12, 10), (2, 4))])
def test_what_makes_one_side_smaller_without_a_stride_begins_a_stage(size, cell):
    assert listed(conv("whole"), keras.layers.Resizing(*size), conv("after")) == [
        ("whole", 1, (1, 1), True),
        ("after", 2, cell, True),
    ]


@pytest.mark.parametrize(
    "up",
    [
        lambda: keras.layers.UpSampling2D(2),
        lambda: keras.layers.UpSampling2D((2, 2), interpolation="bilinear"),
        lambda: keras.layers.Resizing(24, 40),
    ],
)
def test_the_way_back_up_returns_to_the_stage_of_its_size(up):
    assert listed(conv("first"), conv("down", 2), up(), conv("last")) == [
        ("first", 1, (1, 1), False),
        ("down", 2, (2, 2), True),
        ("last", 1, (1, 1), True),
    ]


def up_by(*factors):
    return keras.layers.UpSampling2D(factors)


def transposed(*strides):
    return keras.layers.Conv2DTranspose(4, 3, strides, padding="same", name="up")


@pytest.mark.parametrize("way", [up_by, transposed])
@pytest.mark.parametrize("sides", [(1, 2), (2, 1), (2, 3)])
def test_one_side_that_comes_back_up_returns_to_the_stage_of_its_size(sides, way):
    found = listed(conv("first"), conv("down", sides), way(*sides), conv("last"), size=(24, 36))
    assert [layer for layer in found if layer[0] != "up"] == [
        ("first", 1, (1, 1), False),
        ("down", 2, sides, True),
        ("last", 1, (1, 1), True),
    ]


@pytest.mark.parametrize("down", [(1, 2), (2, 1), (2, 3)])
def test_sides_that_go_down_one_after_the_other_come_back_up_together(down):
    then = down[::-1]
    both = down[0] * then[0], down[1] * then[1]
    found = listed(conv("first"), conv("one", down), conv("other", then), up_by(*both), conv("last"), size=(36, 72))
    assert [layer[:3] for layer in found] == [
        ("first", 1, (1, 1)),
        ("one", 2, down),
        ("other", 3, both),
        ("last", 1, (1, 1)),
    ]


@pytest.mark.parametrize("size", [(33, 33), (21, 15), (37, 49)])
def test_sizes_that_were_rounded_down_come_back_up_to_their_stage(size):
    def smaller(name):
        return conv(name, 2, padding="valid")

    found = listed(conv("first"), smaller("one"), smaller("two"), keras.layers.Resizing(*size), conv("last"), size=size)
    assert [layer[:2] for layer in found] == [("first", 1), ("one", 2), ("two", 3), ("last", 1)]


def test_a_side_that_comes_back_up_counts_where_the_other_gets_a_little_smaller():
    back = keras.layers.Resizing(23, 36)
    found = listed(conv("first"), conv("down", (1, 2)), back, conv("last"), size=(24, 36))
    assert [layer[:2] for layer in found] == [("first", 1), ("down", 2), ("last", 1)]


def test_a_transposed_convolution_leads_back_up_by_its_strides():
    up = keras.layers.Conv2DTranspose(4, 3, 2, padding="same", activation="relu", name="up")
    assert listed(conv("first"), conv("down", 4, 5), conv("deep"), up, conv("last")) == [
        ("first", 1, (1, 1), True),
        ("down", 3, (4, 4), False),
        ("deep", 3, (4, 4), True),
        ("up", 2, (2, 2), False),
        ("last", 2, (2, 2), True),
    ]


def test_a_network_that_comes_back_up_and_joins_has_one_layer_a_stage():
    inputs = keras.Input((24, 40, 3))
    one = conv("one")(inputs)
    two = conv("two")(keras.layers.MaxPooling2D(name="pool")(one))
    up = keras.layers.UpSampling2D()(two)
    joined = conv("joined")(keras.layers.Concatenate(name="join")([one, up]))
    assert of(inputs, joined) == [
        ("one", 1, (1, 1), False),
        ("pool", 1, (2, 2), False),
        ("two", 2, (2, 2), True),
        ("join", 1, (1, 1), False),
        ("joined", 1, (1, 1), True),
    ]


def test_a_gate_of_one_cell_says_nothing_of_the_stride():
    """Squeeze and excite: a single cell of each channel is multiplied with the whole map."""
    inputs = keras.Input((24, 40, 3))
    x = conv("whole", 2)(inputs)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = keras.layers.Conv2D(4, 1, activation="sigmoid", name="gate")(gate)
    assert of(inputs, keras.layers.Multiply(name="gated")([gate, x])) == [
        ("whole", 1, (2, 2), False),
        ("gated", 1, (2, 2), True),
    ]


def test_where_two_lanes_stay_open_the_last_merge_with_the_most_channels_stands_for_the_stage():
    """As in NASNet: each cell takes the last two, so that the whole network flows through no tensor of the stage."""
    inputs = keras.Input((24, 40, 3))
    stem = conv("stem")(inputs)
    one, two = conv("one", 2)(stem), conv("two", 2)(stem)
    three = keras.layers.Concatenate(name="wide")([one, two])
    many = conv("most channels of all", filters=20)(three)
    four = keras.layers.Concatenate(name="as wide")([two, conv("b")(many)])
    five = keras.layers.Add(name="narrow")([conv("c")(three), conv("d")(four)])
    end = keras.layers.Add(name="end")([conv("low", 2)(four), conv("lower", 2)(five)])
    found = of(inputs, end)
    assert [name for name, _, _, preset in found if preset] == ["stem", "as wide", "end"]


def test_an_activation_stands_for_its_stage_rather_than_a_plain_convolution_after_it():
    plain = keras.layers.Conv2D(4, 3, padding="same", name="plain")
    found = listed(conv("first"), keras.layers.BatchNormalization(), plain, conv("half", 2), conv("again"))
    assert [name for name, _, _, preset in found if preset] == ["first", "again"]

    def only():
        return [keras.layers.Conv2D(4, 3, padding="same", name=name) for name in ("one", "two")]

    assert [name for name, _, _, preset in listed(*only()) if preset] == ["two"]  # nothing else is there
    found = listed(conv("first"), keras.layers.LeakyReLU(name="leaky"), keras.layers.Activation("linear"), *only())
    assert [name for name, _, _, preset in found if preset] == ["leaky"]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (lambda: keras.layers.Conv2D(4, 3, name="x"), "conv"),
        (lambda: keras.layers.Conv2DTranspose(4, 3, name="x"), "conv"),
        (lambda: keras.layers.DepthwiseConv2D(3, name="x"), "conv"),
        (lambda: keras.layers.SeparableConv2D(4, 3, name="x"), "conv"),
        (lambda: keras.layers.Dense(4, name="x"), "conv"),  # in every cell: a convolution of 1 x 1
        (lambda: keras.layers.ReLU(name="x"), "activation"),
        (lambda: keras.layers.LeakyReLU(name="x"), "activation"),
        (lambda: keras.layers.PReLU(name="x"), "activation"),
        (lambda: keras.layers.ELU(name="x"), "activation"),
        (lambda: keras.layers.Activation("gelu", name="x"), "activation"),
        (lambda: keras.layers.Activation("linear", name="x"), None),
        (lambda: keras.layers.MaxPooling2D(name="x"), "pool"),
        (lambda: keras.layers.AveragePooling2D(2, name="x"), "pool"),
        (lambda: keras.layers.GlobalAveragePooling2D(keepdims=True, name="x"), None),
        (lambda: keras.layers.BatchNormalization(name="x"), None),
        (lambda: keras.layers.ZeroPadding2D(name="x"), None),
        (lambda: keras.layers.Cropping2D(name="x"), None),
        (lambda: keras.layers.Dropout(0.2, name="x"), None),
        (lambda: keras.layers.UpSampling2D(name="x"), None),
    ],
)
def test_each_kind_of_layer_is_called_what_it_is(layer, kind):
    inputs = keras.Input((9, 14, 3))
    x = layer()(keras.layers.Conv2D(3, 3, name="first")(inputs))
    network = gc.Classifier("own", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    assert {found.name: found.kind for found in gc.summary(network)} == {"first": "conv"} | (
        {"x": kind} if kind else {}
    )


@pytest.mark.parametrize("name", ["relu", "relu6", "silu", "gelu", "elu", "selu", "softplus", "hard_silu", "tanh"])
def test_an_activation_that_is_no_layer_is_one_too(name):
    inputs = keras.Input((9, 14, 3))
    x = getattr(keras.ops, name)(keras.layers.Conv2D(3, 3, name="first")(inputs))
    network = gc.Classifier("own", keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    assert [(found.kind, found.preset) for found in gc.summary(network)] == [("conv", False), ("activation", True)]


@pytest.mark.parametrize(
    "layer", [keras.layers.ZeroPadding2D(((9, 9), (20, 20))), keras.layers.Cropping2D(((6, 6), (10, 10)))]
)
def test_cutting_and_padding_begin_no_stage_and_leave_cells_their_size(layer):
    found = listed(conv("first"), layer, conv("last"))
    assert [(name, stage, cell) for name, stage, cell, _ in found] == [("first", 1, (1, 1)), ("last", 1, (1, 1))]
