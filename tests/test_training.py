"""The recipe of the built-in network, on photos made here: it learns, goes on where it was cut off, and ships."""

import json
import shutil

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

import gradcam_core as gc
from benchmarks import localisation
from training import photos, ship
from training.network import BatchNormalization, build
from training.train import Recipe, read_average, save, state_of, train

WIDTHS = (4, 8, 8, 12, 16)
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of a red, green or blue square on noise, with its box, as the data set lies on disk."""
    folder = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    for split, count in (("train", 192), ("val", 30)):
        jpeg, labels, boxes = [], np.arange(count) % 3, []
        for label in labels:
            picture = random.integers(90, 160, (64, 64, 3), np.uint8)
            x, y = random.integers(0, 34, 2)
            picture[y : y + 30, x : x + 30] = list(COLOURS.values())[label]
            jpeg.append(cv2.imencode(".jpg", picture[:, :, ::-1])[1])
            boxes.append((x, y, x + 29, y + 29))
        offset = np.cumsum([0, *map(len, jpeg)])
        np.savez(folder / f"{split}.npz", jpeg=np.concatenate(jpeg), offset=offset, label=labels, box=np.array(boxes))
    (folder / "classes.json").write_text(json.dumps([[f"n{k:08}", f"{name}_square"] for k, name in enumerate(COLOURS)]))
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run of six epochs, cut off after the second."""
    run = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(0)
    recipe = {"widths": WIDTHS, "batch": 16, "rate": 1e-2, "decay": 1.0, "memory": 0.7}
    train(folder, run, Recipe(sides=(32, 32), **recipe))
    train(folder, run, Recipe(sides=(32, 32, 48, 48, 48, 48), **recipe))
    return run


def test_photos_are_read_as_they_were_written(folder):
    squares = photos.read_photos(folder / "val.npz")
    assert squares.pixels.shape == (30, 64, 64, 3)
    for pixels, label, (x0, y0, x1, y1) in zip(squares.pixels, squares.labels, squares.boxes, strict=True):
        inner = pixels[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4].reshape(-1, 3).mean(axis=0)
        assert np.abs(inner - list(COLOURS.values())[label]).max() < 12


def test_a_crop_of_the_whole_photo_is_the_photo_or_its_mirror_image(folder, monkeypatch):
    monkeypatch.setattr(photos, "CROP_AREA", (1.0, 1.0))
    monkeypatch.setattr(photos, "CROP_ASPECT", (1.0, 1.0))
    monkeypatch.setattr(photos, "COLOUR", 0.0)
    monkeypatch.setattr(photos, "WHITE", 0.0)
    monkeypatch.setattr(photos, "SHARPNESS", (0.0, 0.0))
    pixels = photos.read_photos(folder / "val.npz").pixels
    augmented = photos.augment(tf.cast(pixels, tf.float32), 64).numpy()
    mirrored = 0
    for before, after in zip(pixels.astype(float), augmented, strict=True):
        off = [np.abs(after - same).max() for same in (before, before[:, ::-1])]
        assert min(off) < 0.1
        mirrored += off[1] < off[0]
    assert 5 < mirrored < 25
    half = photos.augment(tf.cast(pixels, tf.float32), 32).numpy()
    expected = np.stack([cv2.resize(p.astype("float32"), (32, 32), interpolation=cv2.INTER_LINEAR) for p in pixels])
    off = np.minimum(abs(half - expected).max((1, 2, 3)), abs(half[:, :, ::-1] - expected).max((1, 2, 3)))
    assert off.max() < 0.1


def test_a_pasted_photo_shares_the_label_by_its_area():
    tf.random.set_seed(0)
    colours, labels = np.eye(3, dtype="float32") * 255, np.eye(3, dtype="float32")
    pixels = np.broadcast_to(colours[:, None, None], (3, 40, 40, 3))
    mixed, shared = (tensor.numpy() for tensor in photos.paste(tf.constant(pixels), tf.constant(labels)))
    for index, (picture, shares) in enumerate(zip(mixed, shared, strict=True)):
        own = picture[..., index] > 254
        assert own.sum() == round(shares[index] * 1600)
        assert round(own.sum() ** 0.5) ** 2 == own.sum()  # a square
        np.testing.assert_allclose(picture[~own], np.broadcast_to(colours[index - 1], picture[~own].shape), atol=0.01)
        assert shares.sum() == pytest.approx(1)


def test_an_epoch_shows_every_photo_once_in_a_new_order(folder):
    squares = photos.read_photos(folder / "val.npz")
    first, second = (
        [int(label) for _, labels in photos.epoch(squares, 32, 10, seed) for label in labels.numpy().argmax(1)]
        for seed in (1, 2)
    )
    assert sorted(first) == sorted(squares.labels)
    assert first != second


def test_the_fused_normalisation_is_keras_own():
    random = np.random.default_rng(0)
    batch = random.normal(2, 3, (8, 5, 5, 6)).astype("float32")
    fused, plain = BatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for layer in (fused, plain):
        layer.build(batch.shape)
        layer.gamma.assign(np.arange(1, 7))
        layer.beta.assign(np.arange(6))
    np.testing.assert_allclose(fused(batch, training=True), plain(batch, training=True), atol=1e-4)
    np.testing.assert_allclose(fused.moving_mean, plain.moving_mean, atol=1e-5)
    np.testing.assert_allclose(fused.moving_variance, plain.moving_variance, rtol=0.01)  # fused: divided by n - 1
    np.testing.assert_allclose(fused(batch, training=False), plain(batch, training=False), rtol=0.02, atol=0.02)


def test_the_learning_rate_rises_stays_and_falls():
    recipe = Recipe(sides=(48,) * 10, rate=0.1, warm_up=1.0, decay=4.0)
    assert [recipe.learning_rate(done) for done in (0, 0.5, 1, 5, 6, 8, 10)] == pytest.approx(
        [0, 0.05, 0.1, 0.1, 0.1, 0.05, 0]
    )


def test_the_recipe_learns_and_goes_on_where_it_was_cut_off(folder, run, capsys):
    before = read_average(run)
    averaged = train(folder, run, Recipe(sides=(32, 32, 48, 48, 48, 48), widths=WIDTHS, batch=16))
    assert capsys.readouterr().out.strip() == "Going on after epoch 6."  # all epochs are done: nothing is trained
    for kept, weight in zip(before, averaged.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)


def test_a_run_cut_off_while_it_saves_keeps_its_state(folder, run, tmp_path):
    cut = tmp_path / "run"
    shutil.copytree(run, cut)
    (cut / "state").rename(cut / "state.old")  # cut off between the two renames
    network, average = keras.models.load_model(state_of(cut) / "network.keras"), read_average(cut)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "save", lambda *_: 1 / 0)  # and again, while it writes the next one
        with pytest.raises(ZeroDivisionError):
            save(network, average, 7, cut)
    for kept, weight in zip(read_average(cut), average, strict=True):
        np.testing.assert_array_equal(kept, weight)
    save(network, average, 7, cut)
    assert {path.name for path in cut.iterdir()} == {"state"}
    assert json.loads((cut / "state" / "progress.json").read_text()) == {"epochs": 7}


def test_a_run_becomes_the_built_in_network(folder, run, tmp_path):
    made = ship.ship(folder, [run, run], tmp_path / "bundled", sides=(64, 48), widths=WIDTHS)
    about = json.loads((tmp_path / "bundled" / "network.json").read_text())
    ours = json.loads((ship.BUNDLED / "network.json").read_text())
    assert about.keys() == ours.keys()
    assert about["labels"][0] == ["n00000000", "red square"]
    assert about["parameters"] == made.parameters
    network = gc.load(
        tmp_path / "bundled" / about["weights"], labels=[tuple(label) for label in about["labels"]], input_size=(64, 64)
    )
    assert not any(isinstance(layer, BatchNormalization) for layer in network.model.layers)  # anyone can open it
    squares = photos.read_photos(folder / "val.npz")
    before, _ = ship.ranks(network, squares)
    assert (before == 0).mean() >= 0.9
    assert "| 64x64 | " in (tmp_path / "bundled" / "README.md").read_text()

    scores = localisation.measure(network, squares, [0, 1, 2], "last", "gradcam")
    pointing, share = scores.pop("block5_conv2_relu")
    assert pointing > scores["a random point"][0]
    assert share > scores["a random point"][1]


def test_calibration_finds_the_scale_of_the_logits_and_keeps_their_order(folder, run):
    model = build(3, WIDTHS, normalization=keras.layers.BatchNormalization)
    model.set_weights(read_average(run))
    squares = photos.read_photos(folder / "val.npz")
    pixels, side = squares.pixels.astype("float32"), squares.pixels.shape[1]
    before = model(pixels, training=False).numpy()
    wrong = photos.Photos(squares.pixels, np.roll(squares.labels, 1), squares.boxes)
    assert ship.calibrate(model, wrong, side) == 0.5  # sure of what is wrong: as unsure as can be
    np.testing.assert_allclose(model(pixels, training=False), before / 2, rtol=1e-3, atol=1e-3)
    assert ship.calibrate(model, squares, side) > 1.5  # sure of what is right


def test_the_built_in_network_is_what_the_recipe_builds():
    network = gc.load("bundled")
    built = build(100, normalization=keras.layers.BatchNormalization)
    assert [w.path.split("/")[-2:] for w in built.weights] == [w.path.split("/")[-2:] for w in network.model.weights]
    assert [w.shape for w in built.weights] == [w.shape for w in network.model.weights]


def test_localisation_on_maps_whose_answer_is_known():
    mask = localisation.inside(np.array([2, 1, 3, 1]), 4, 5)
    assert mask.sum() == 2
    heat = np.zeros((4, 5))
    assert localisation.score(heat, mask) == (0, 0)
    heat[1, 3], heat[0, 0] = 3, 1
    assert localisation.score(heat, mask) == (1, 0.75)
    heat[0, 0] = 9
    assert localisation.score(heat, mask) == (0, 0.25)
