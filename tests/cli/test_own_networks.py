"""Networks in files, from the shell: how photos are prepared, what is given and printed, and Keras' own settings."""

import argparse
import json
import os
import subprocess
import sys

import cv2
import keras
import pytest
from tiny_networks import noise, seeded, small_model, staged_network

import gradcam_core as gc
from gradcam_core.cli.main import main
from gradcam_core.cli.options import add_file_options, file_settings


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), noise(20, width=30))
    return path


@pytest.fixture
def run(capfd):
    def call(*arguments):
        capfd.readouterr()
        code = main([*map(str, arguments)])
        return (code, *capfd.readouterr())

    return call


def one_value(path):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x))
    model = seeded(keras.Model(inputs, keras.layers.Rescaling(90, 20)(x)))
    model.layers[-2].kernel.assign(abs(model.layers[-2].kernel))
    model.save(path)
    return path


def test_a_layer_without_evidence_is_named(run, photo, tmp_path):
    """All of its weights are positive: nothing speaks against the value."""
    path = one_value(tmp_path / "age.keras")
    name = gc.load(path).labels[0].name
    code, out, _ = run("explain", photo, "--network", path, "--out", tmp_path / "out")
    assert (code, len(out.splitlines())) == (0, 1)
    code, out, _ = run("explain", photo, "--network", path, "--out", tmp_path / "out", "--against")
    assert (code, out.splitlines()[1:]) == (0, [f"  no evidence for {name} in conv"])


def test_predict_prints_as_many_classes_as_are_asked_for(run, photo, tmp_path):
    staged_network(classes=10).model.save(tmp_path / "ten.keras")
    for top in (2, 7):
        code, out, _ = run("predict", photo, "--network", tmp_path / "ten.keras", "--top", top)
        assert (code, out.count("class ")) == (0, top)


def test_each_input_of_a_network_is_given_its_own_value():
    parser = argparse.ArgumentParser()
    add_file_options(parser)
    given = ["age=31", "place=2.5,-1", "other=a=b.jpg"]
    options = parser.parse_args([word for text in given for word in ("--input", text)])
    assert file_settings(options) == {"inputs": {"age": [31.0], "place": [2.5, -1.0], "other": "a=b.jpg"}}


@pytest.mark.parametrize("asked", ["0..1", "-1..1", "none", "VGG16"])
@pytest.mark.parametrize("suffix", ["keras", "H5"])
def test_the_shell_says_how_photos_are_prepared(run, photo, tmp_path, asked, suffix):
    path = tmp_path / "mine.h5"
    small_model().save(path.with_suffix(f".{suffix.lower()}"))
    path = path.with_suffix(f".{suffix.lower()}").rename(path.with_suffix(f".{suffix}"))
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n2 emu\n")
    code, out, _ = run("predict", photo, "--network", path, "--labels", tmp_path / "labels.txt", "--preprocess", asked)
    network = gc.load(path, labels=["cat", "dog", "emu"], preprocess=asked)
    said = ", ".join(f"{one.name} {one.text}" for one in network.predict(photo))
    assert (code, out) == (0, f"{photo}: {said}\n")


@pytest.mark.parametrize("asked", [None, "value", "age"])
def test_the_shell_says_what_linear_outputs_are(run, photo, tmp_path, asked):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    seeded(keras.Model(inputs, keras.layers.Dense(3)(x))).save(tmp_path / "three.keras")
    code, out, error = run(
        "predict", photo, "--network", tmp_path / "three.keras", *(["--measures", asked] if asked else [])
    )
    expected = gc.load(tmp_path / "three.keras", measures=None if asked == "age" else asked).predict(photo)
    if asked == "age":
        assert code != 0
        assert "not 'age'" in error
    else:
        assert (code, out) == (0, f"{photo}: " + ", ".join(f"{one.name} {one.text}" for one in expected) + "\n")
        assert (expected[0].value is not None) == (asked == "value")


def test_a_file_of_any_suffix_is_not_taken_for_a_name_when_its_layers_are_listed(run, tmp_path, monkeypatch):
    small_model().save(tmp_path / "mine.keras")
    path = (tmp_path / "mine.keras").rename(tmp_path / "mine.KERAS")
    assert "conv" in run("layers", path)[1]
    (tmp_path / "MobileNet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("layers", "mobilenet")[1].startswith("MobileNet: input 224 x 224")
    for name, sentence in (("best.pt", "cannot be opened"), (tmp_path / "gone.h5", "cannot be opened")):
        code, out, err = run("layers", name)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert sentence in err


def test_a_value_is_printed_tested_and_written_as_one(run, photo, tmp_path):
    path = one_value(tmp_path / "age.keras")
    text = gc.load(path).predict(photo)[0].text
    code, out, err = run("predict", photo, "--network", path)
    assert (code, out) == (0, f"{photo}: value {text}\n")
    assert "is shown as a value" in err
    code, out, _ = run("test", photo, "--network", path, "--steps", "3")
    assert code == 0
    assert next(line for line in out.splitlines() if line.startswith("conv ")).split()[-1] == "-"
    assert run("explain", photo, "--network", path, "--out", tmp_path / "out")[0] == 0
    target = json.loads((tmp_path / "out" / "photo" / "manifest.json").read_text())["target"]
    assert (target["probability"], target["value"]) == (None, pytest.approx(gc.load(path).predict(photo)[0].value))


def test_the_shell_works_whatever_keras_is_set_to(photo, tmp_path):
    """torch is not installed here."""
    settings = {"floatx": "float32", "epsilon": 1e-7, "backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    answer = subprocess.run(
        [sys.executable, "-m", "gradcam_core", "predict", str(photo)],
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    first = gc.load("EfficientNetLite0").predict(photo)[0]
    assert answer.stdout.startswith(f"{photo}: {first.name} "), answer.stderr


def test_names_of_strangers_give_the_terminal_no_commands(run, photo, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, name="co\x1b[2J\nnv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.save(tmp_path / "mine.keras")
    hostile = {"\x1b[31mred\rblue": 0, "two\nlines": 1, "\x07bell": 2}
    (tmp_path / "labels.json").write_text(json.dumps(hostile))
    of = ["--network", tmp_path / "mine.keras", "--labels", tmp_path / "labels.json"]
    bad = tmp_path / "\x1b[2Jbad\n.png"
    bad.write_text("This is not a picture.")
    for command in (["predict"], ["explain", "--out", tmp_path / "out"], ["test", "--steps", 2]):
        code, out, errors = run(*command, photo, bad, *of)
        assert (code, "1 of 2 photos" in out) == (1, True), out + errors
        assert not [one for one in (out + errors).replace("\n", "") if not one.isprintable()]
        assert "?[2Jbad?.png: " in errors
        assert any(name in out for name in ("?[31mred?blue", "two?lines", "?bell")), out + errors
    _, out, _ = run("layers", tmp_path / "mine.keras")
    assert "\nco?[2J?nv" in out
    assert out.replace("\n", "").isprintable()
