"""Where a layer's cells lie in the photo, whatever the network does to the photo first."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_networks import noise, seeded

import gradcam_core as gc

L = keras.layers
HEIGHT, WIDTH = 48, 96
AT = (20, 52)  # of a red square of 8 x 8 pixels


def photo_with_square(size=(HEIGHT, WIDTH), at=AT, side=8):
    photo = np.zeros((*size, 3), np.uint8)
    photo[at[0] : at[0] + side, at[1] : at[1] + side] = (255, 0, 0)
    return photo


def red_behind(front, size=(HEIGHT, WIDTH), convolve=None):
    """A network that moves the photo first, and then looks for red in one layer, "red"."""
    inputs = keras.Input((*size, 3))
    conv = L.Conv2D(1, 1, activation="relu", name="red")
    x = front(L.Rescaling(1 / 255)(inputs))
    x = convolve(conv, x) if convolve else conv(x)
    model = keras.Model(inputs, L.Dense(2)(L.Flatten()(L.GlobalAveragePooling2D()(x))))
    model.layers[-1].set_weights([np.float32([[100, 0]]), np.zeros(2)])
    conv.set_weights([np.float32([1, -1, -1]).reshape(1, 1, 3, 1), np.zeros(1)])
    return gc.Classifier("red", model)


def centre(heat, size):
    """Centre of mass in pixels of the photo that the map is stretched over."""
    rows, columns = np.indices(heat.shape)
    return tuple(
        float(((axis + 0.5) * heat).sum() / heat.sum() * side / count)
        for axis, side, count in zip((rows, columns), size[:2], heat.shape, strict=True)
    )


class Rolled(L.Layer):
    def call(self, x):
        return tf.roll(x, 5, axis=2)


MOVES = {
    "nothing": lambda x: x,
    "crop": L.Cropping2D(((10, 6), (20, 4))),
    "centre crop": L.CenterCrop(30, 50),
    "slice": lambda x: x[:, 10:-5, 40:],
    "slice from the end": lambda x: x[:, ::-1, -60:],
    "gather": lambda x: keras.ops.take(x, np.arange(WIDTH - 8)[::-1].copy(), axis=2),
    "every other column": lambda x: x[:, :, ::2],
    "pad": L.ZeroPadding2D(((7, 3), (0, 12))),
    "pad by an operation": lambda x: keras.ops.pad(x, ((0, 0), (5, 0), (8, 1), (0, 0)), mode="reflect"),
    "flip": lambda x: keras.ops.flip(x, 2),
    "flip both": lambda x: keras.ops.flip(x, (1, 2)),
    "turn": lambda x: keras.ops.transpose(x, (0, 2, 1, 3)),
    "turn and flip": lambda x: keras.ops.flip(keras.ops.transpose(x, (0, 2, 1, 3)), 1),
    "rot90": lambda x: keras.ops.rot90(x, axes=(1, 2)),
    "resize": L.Resizing(24, 24),
    "resize and crop": L.Resizing(32, 32, crop_to_aspect_ratio=True),
    "resize and pad": L.Resizing(64, 64, pad_to_aspect_ratio=True),
    "enlarge": L.UpSampling2D((2, 3), interpolation="bilinear"),
    "split": lambda x: keras.ops.split(x, 2, axis=2)[1],
    "concatenate": lambda x: keras.ops.concatenate([x[:, :, :48], x[:, :, 48:90]], 2),
    "crop twice and pad": lambda x: L.ZeroPadding2D((2, 5))(L.Cropping2D((4, 8))(L.Cropping2D(((8, 0), (0, 9)))(x))),
    "channels first and back": lambda x: L.Permute((2, 3, 1))(L.Permute((3, 1, 2))(x)),
    "a reshape that adds an axis": lambda x: keras.ops.squeeze(keras.ops.expand_dims(x, 1)[:, :, 6:], 1),
}


@pytest.mark.parametrize("move", MOVES)
def test_the_map_lies_on_what_was_found(move):
    network = red_behind(MOVES[move])
    photo = photo_with_square()
    heat_map = gc.explain(network, photo, 0).maps["red"]
    assert heat_map.layer.place is not None
    size = max(heat_map.layer.cell)
    found = centre(heat_map.heat, photo.shape)
    assert found == pytest.approx((AT[0] + 4, AT[1] + 4), abs=0.5 * size + 0.5)


@pytest.mark.parametrize("move", ["crop", "flip both", "turn", "resize and crop"])
def test_the_box_lies_around_what_was_found(move):
    network = red_behind(MOVES[move])
    (box,) = gc.explain(network, photo_with_square((144, 192), (60, 104), 20), 0).maps["red"].boxes(0.5)
    assert (box.y0, box.x0, box.y1, box.x1) == pytest.approx((60, 104, 80, 124), abs=6)


@pytest.mark.parametrize("move", ["crop", "pad", "flip both", "turn", "slice"])
def test_cells_that_fit_keep_their_values(move):
    """Not one is mixed with its neighbours: outside of what the layer saw there is nothing."""
    network = red_behind(MOVES[move])
    photo = noise(HEIGHT, seed=1).repeat(2, axis=1)
    photo[..., 1:] = 0
    raw = gc.explain(network, photo, 0).maps["red"].raw
    expected = photo[..., 0] / 255 / 1.0
    top, bottom, left, right = {"crop": (10, 42, 20, 92), "slice": (10, 43, 40, 96)}.get(move, (0, HEIGHT, 0, WIDTH))
    seen = np.zeros_like(expected)
    seen[top:bottom, left:right] = expected[top:bottom, left:right]
    assert raw.shape == (HEIGHT, WIDTH)
    np.testing.assert_allclose(raw / raw.max(), seen / seen.max(), atol=1e-6)


def test_the_cells_have_the_size_they_have_in_the_photo():
    network = red_behind(L.Resizing(32, 32, crop_to_aspect_ratio=True), (64, 200))
    (layer,) = gc.select(network, "red")
    assert layer.shape == (32, 32, 1)
    assert layer.cell == (2, 2)  # 64 of the 200 columns are seen
    heat_map = gc.explain(network, photo_with_square((64, 200), (30, 100)), 0).maps["red"]
    assert heat_map.raw.shape == (32, 100)
    assert not heat_map.raw[:, :33].any()


def test_a_layer_with_its_channels_first_is_explained_as_any_other():
    inputs = keras.Input((12, 20, 3))
    x = L.Permute((3, 1, 2))(L.Conv2D(4, 3, activation="relu", name="last")(inputs))
    x = L.LeakyReLU(negative_slope=1.0, name="first")(x)
    network = gc.Classifier("own", seeded(keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))))
    maps = gc.explain(network, noise(20), 0, ["last", "first"]).maps
    assert maps["first"].layer.shape == (10, 18, 4)
    np.testing.assert_allclose(maps["first"].raw, maps["last"].raw, atol=1e-6)


def test_padding_that_a_window_takes_away_again_moves_nothing():
    def front(x):
        x = L.ZeroPadding2D(3)(x)
        x = L.Conv2D(3, 7, strides=2, kernel_initializer="ones")(x)
        x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
        return L.MaxPooling2D(3, 2)(x)

    network = red_behind(front)
    (layer,) = gc.select(network, "red")
    assert layer.shape == (12, 24, 1)
    assert layer.cell == (4, 4)
    assert gc.explain(network, noise(20), 0).maps["red"].raw.shape == (12, 24)


class OnesOf(L.Layer):
    """A convolution of TensorFlow's own, with a kernel of ones."""

    def __init__(self, size, strides, padding, dilations):
        super().__init__()
        self.how = {"filters": tf.ones((*size, 3, 3)), "strides": strides, "padding": padding, "dilations": dilations}

    def call(self, x):
        return tf.nn.conv2d(x, **self.how)


@pytest.mark.parametrize(
    ("front", "cell"),
    [
        (lambda x: L.Conv2D(3, (5, 7), (2, 4))(L.ZeroPadding2D(((1, 2), (3, 4)))(x)), (2, 4)),
        (lambda x: L.MaxPooling2D((5, 7), (2, 4))(L.ZeroPadding2D(((1, 2), (3, 4)))(x)), (2, 4)),
        (lambda x: OnesOf((3, 3), 1, "VALID", (1, 3))(L.ZeroPadding2D(((1, 1), (5, 5)))(x)), (1, 1)),
        (OnesOf((5, 7), (2, 4), [[0, 0], [1, 2], [3, 4], [0, 0]], 1), (2, 4)),
    ],
    ids=["convolution", "pool", "dilation", "padding of its own"],
)
def test_a_window_takes_padding_away_by_its_own_height_and_width(front, cell):
    """Four columns of padding are left, and no row."""
    (layer,) = gc.select(red_behind(front), "red")
    assert layer.cell == cell
    assert layer.shape[:2] == (48 / cell[0], (96 + 4) / cell[1])


class DistantPixels(L.Layer):
    """The three colours of the middle one of three pixels in a row, each three further than the one before."""

    def call(self, x):
        return tf.image.extract_patches(x, [1, 1, 3, 1], [1] * 4, [1, 1, 3, 1], "VALID")[..., 3:6]


PADDED = {  # columns that a padding brings, and a window takes away again, whatever is done to them between
    "mirrored": (((6, 0), lambda x: keras.ops.flip(x, 2)), 7, 96),
    "mirrored without the last": (((6, 6), lambda x: x[:, :, 105::-1]), 11, 96),
    "every other one": (((4, 12), lambda x: x[:, :, ::2]), 9, 48),
    "enlarged": (((4, 12), L.UpSampling2D((1, 2))), 33, 192),
    "in two parts": (((6, 0), lambda x: keras.ops.concatenate([x[:, :, :40], x[:, :, 40:]], 2)), 7, 96),
    "distant": (((3, 3), DistantPixels()), 1, 96),
}


@pytest.mark.parametrize(("way", "window", "columns"), PADDED.values(), ids=PADDED)
def test_what_is_left_when_a_window_has_taken_the_padding_away_is_the_whole_photo(way, window, columns):
    padding, between = way

    def front(x):
        return L.Conv2D(3, (1, window), name="window")(between(L.ZeroPadding2D(((0, 0), padding))(x)))

    network = red_behind(front)
    network.model.get_layer("window").set_weights([np.ones((1, window, 3, 3)) * [1, 0, 0], np.zeros(3)])
    heat_map = gc.explain(network, np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8), 0).maps["red"]
    assert heat_map.layer.cell == (1, WIDTH / columns)
    assert heat_map.raw.shape == (HEIGHT, columns)
    assert heat_map.raw.min() > 0


@pytest.mark.parametrize(
    "front",
    [
        Rolled(),
        lambda x: keras.ops.take(x, np.random.default_rng(0).permutation(WIDTH), axis=2),
        lambda x: x + keras.ops.flip(x, 2),
    ],
)
def test_where_cells_cannot_be_followed_it_is_said(front):
    network = red_behind(front)
    (layer,) = gc.select(network, "red")
    assert layer.place is None
    assert layer.cell == (1, 1)
    assert "red lie in the photo is not known" in network.notes[0]
    assert "place in the photo unknown" in gc.summary_table(network)
    assert gc.explain(network, photo_with_square(), 0).maps["red"].raw.shape == (HEIGHT, WIDTH)


def test_hiding_what_is_hot_hides_it_where_it_is():
    from gradcam_core.trust import hide_hottest

    network, photo = red_behind(MOVES["flip both"]), photo_with_square()
    heat = gc.explain(network, photo, 0).maps["red"].heat
    hidden = hide_hottest(network, photo, 0, heat, share=64 / (HEIGHT * WIDTH))
    assert not (hidden.photo == (255, 0, 0)).all(-1).any()
    assert hidden.target.probability < 0.6 < network.predict(photo)[0].probability


@pytest.mark.parametrize("method", ["guided", "scorecam", "layercam"])
@pytest.mark.parametrize("smoothing", ["none", "flips"])
def test_every_method_finds_it_there(method, smoothing):
    if method == "scorecam" and smoothing != "none":
        pytest.skip("Score-CAM is not smoothed")
    network, photo = red_behind(MOVES["crop"]), photo_with_square()
    heat = gc.explain(network, photo, 0, method=method, smoothing=smoothing).maps["red"].heat
    assert centre(heat, photo.shape) == pytest.approx((AT[0] + 4, AT[1] + 4), abs=1)
