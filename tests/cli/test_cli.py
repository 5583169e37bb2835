"""The command line, as a shell runs it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import serving
from tiny_networks import colour_network, noise, oblong_network, staged_network

import gradcam_core as gc
from gradcam_core import NETWORKS
from gradcam_core.cli.main import main
from gradcam_core.networks.measures import MEASURES
from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.trust import assess, sanity_check


def in_a_process(*arguments, from_scratch=False, **environment):
    """``python -m gradcam_core`` in a process of its own; ``from_scratch`` as a shell runs it."""
    return serving.run(["-m", "gradcam_core", *map(str, arguments)], from_scratch, **environment)


@pytest.fixture
def run(capfd, monkeypatch, tmp_path):
    """The same command in this process, in an empty folder: TensorFlow takes seconds to start."""

    def call(*arguments):
        capfd.readouterr()
        try:
            code = main([*map(str, arguments)])
        except SystemExit as error:
            code = error.code
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return call


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), noise(90))
    return path


@pytest.fixture
def tiny(tmp_path):
    """A network that is traced in no time, as a file."""
    staged_network().model.save(tmp_path / "tiny.keras")
    return tmp_path / "tiny.keras"


def test_photos_are_explained_and_one_bad_file_does_not_stop_the_rest(tmp_path, photo):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "photo.png"
    twin.write_bytes(photo.read_bytes())
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    answer = in_a_process(
        "explain", photo, bad, twin, "--class", "goldfish", "--layers", "last", "--out", tmp_path / "out",
        from_scratch=True,
    )  # fmt: skip
    assert answer.returncode == 1
    errors = answer.stderr.splitlines()
    assert len(errors) == 1
    assert "bad.jpg" in errors[0]
    assert "empty" in errors[0]
    assert answer.stdout.splitlines()[-1] == "2 of 3 photos explained, 1 failed."
    for folder in ("photo", "photo-2"):
        manifest = json.loads((tmp_path / "out" / folder / "manifest.json").read_text())
        assert manifest["target"]["name"] == "goldfish"
        assert len(manifest["maps"]) == 1
        assert (tmp_path / "out" / folder / manifest["maps"][0]["overlay"]).exists()


def test_layers_colours_and_score_reach_the_result(run, photo):
    first, second, *_ = (layer.name for layer in gc.select(gc.load(DEFAULT), "stages"))
    options = ["--opacity", "0.7", "--colormap", "magma", "--score", "probability", "--additive"]
    answer = run("explain", photo, "--layers", f"{second},{first}", *options)
    assert (answer.returncode, answer.stderr) == (0, "")
    manifest = json.loads(Path("gradcam-out/photo/manifest.json").read_text())
    assert [entry["layer"] for entry in manifest["maps"]] == [first, second]
    assert manifest["display"] == {"opacity": 0.7, "colormap": "magma", "mode": "add", "highest": None}
    assert manifest["score"] == "probability"


def test_method_contrast_and_fusion_reach_the_result(run, photo, tiny):
    options = ["--class", "class 2", "--instead-of", "class 7", "--weight", "0.5", "--method", "layercam", "--against"]
    more = ["--smoothing", "flips", "--fuse", "maximum", "--boxes", "0.4", "--colorbar"]
    answer = run("explain", photo, "--network", tiny, *options, *more)
    assert (answer.returncode, answer.stderr) == (0, "")
    folder = Path("gradcam-out/photo")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["instead_of"]["name"] == "class 7"
    assert (manifest["method"], manifest["against"], manifest["smoothing"]) == ("layercam", True, "flips")
    height, width, _ = cv2.imread(str(photo)).shape
    assert cv2.imread(str(folder / manifest["fused"])).shape == (height + 40, max(width, 220), 3)
    settings = {"method": "layercam", "instead_of": "class 7", "weight": 0.5, "against": True, "smoothing": "flips"}
    expected = gc.explain(gc.load(tiny), photo, "class 2", **settings)
    coco = json.loads((folder / manifest["boxes"]).read_text())
    assert coco["images"][0]["file_name"] == photo.name
    assert len(coco["annotations"]) == sum(len(heat_map.boxes(0.4)) for heat_map in expected.maps.values()) > 3
    with np.load(folder / "maps.npz") as maps:
        for name, heat_map in expected.maps.items():
            np.testing.assert_array_equal(maps[name], heat_map.raw)


def test_maps_are_tested_beside_what_knows_nothing(run, photo, tiny):
    answer = run("test", photo, "--network", tiny, "--class", "class 2", "--layers", "last", "--steps", "4", "--sanity")
    assert (answer.returncode, answer.stderr) == (0, "")
    network = gc.load(tiny)
    found = assess(network, gc.explain(network, photo, "class 2", "last"), steps=4)
    layer, test = next(iter(found.maps.items()))
    lines = answer.stdout.splitlines()
    assert "class 2" in lines[0]
    for name, tested in ((layer, test), ("random maps", found.random), ("a blob in the centre", found.centre)):
        numbers = next(line for line in lines if line.startswith(name)).removeprefix(name).split()
        assert numbers[0] == f"{tested.curves.deletion_area:.2f}"
        assert numbers[1] == f"{tested.curves.insertion_area:.2f}"
    assert any(line.lower() == f"{test.sentence}.".lower() for line in lines)
    check = sanity_check(network, photo, "class 2", "last")
    result = {True: "passes", False: "fails"}[check.passes[layer]]
    left = f"rank correlation {check.rank_correlation[layer][-1]:.2f} once all weights are random"
    assert f"Sanity check of {layer}: {result} ({left})." in lines


@pytest.fixture
def own_network(tmp_path):
    """A network of four classes in a file, as --network takes it."""
    oblong_network().model.save(tmp_path / "mine.keras")
    return ["--network", tmp_path / "mine.keras"]


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--method", "layercam", "--smoothing", "flips"], {"method": "layercam", "smoothing": "flips"}),
        (
            ["--score", "probability", "--instead-of", "3", "--weight", "0.5", "--against"],
            {"score": "probability", "instead_of": 3, "weight": 0.5, "against": True},
        ),
    ],
)
def test_what_is_tested_and_checked_is_what_would_be_shown(run, photo, own_network, options, settings):
    command = ["test", photo, *own_network, "--class", "2", "--layers", "relu2", "--steps", "3", "--sanity", *options]
    answer = run(*command)
    assert (answer.returncode, answer.stderr) == (0, "")
    network = gc.load(own_network[1])
    lines = answer.stdout.splitlines()
    found = assess(network, gc.explain(network, photo, 2, "relu2", **settings), steps=3).maps["relu2"]
    numbers = [f"{found.curves.deletion_area:.2f}", f"{found.curves.insertion_area:.2f}", f"{found.drop:.0f}", "%"]
    assert next(line for line in lines if line.startswith("relu2 ")).split() == ["relu2", *numbers]
    check = sanity_check(network, photo, 2, "relu2", **settings)
    left = f"(rank correlation {check.rank_correlation['relu2'][-1]:.2f} once all weights are random)."
    assert lines[-1].startswith("Sanity check of relu2: ")
    assert lines[-1].endswith(left)


def test_a_network_file_gets_its_photos_as_it_was_trained(run, photo, own_network):
    printed = []
    for preprocess in (None, "VGG16", "mobilenetv2"):
        options = ["--preprocess", preprocess] if preprocess else []
        answer = run("predict", photo, *own_network, *options)
        assert (answer.returncode, answer.stderr) == (0, "")
        network = gc.load(own_network[1], preprocess=preprocess)
        expected = ", ".join(f"{found.name} {found.text}" for found in network.predict(gc.read_image(photo)))
        assert answer.stdout == f"{photo}: {expected}\n"
        printed.append(answer.stdout)
        answer = run("explain", photo, *own_network, *options, "--out", Path("out") / str(preprocess))
        assert (answer.returncode, answer.stderr) == (0, "")
        manifest = json.loads(Path("out", str(preprocess), "photo", "manifest.json").read_text())
        assert manifest["target"]["probability"] == pytest.approx(network.predict(gc.read_image(photo))[0].probability)
    assert len(set(printed)) == 3


@pytest.mark.parametrize("command", ["predict", "explain", "test"])
def test_ctrl_c_ends_a_command_with_130_and_one_line(run, photo, own_network, tmp_path, command):
    """It is pressed for real while the class names are being read, which come from a pipe that nobody writes into."""
    pipe = tmp_path / "labels"
    os.mkfifo(pipe)

    def press() -> None:
        with pipe.open("w"):  # goes on when the command has opened the other end
            time.sleep(0.3)  # Python looks for signals before it reads and while it reads, and not between
            while not over.is_set():
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                over.wait(10)  # or else it was between, and is heard with the next

    over = threading.Event()
    thread = threading.Thread(target=press, daemon=True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    thread.start()
    try:
        answer = run(command, photo, *own_network, "--labels", pipe)
    except KeyboardInterrupt:
        pytest.fail("Ctrl-C ended in a traceback")
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)
    assert (answer.returncode, answer.stdout) == (130, "")
    assert answer.stderr == "gradcam: stopped.\n"


def test_predict_prints_the_most_probable_classes(run, photo):
    answer = run("predict", photo, "--top", "3")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.count("%") == 3


def test_layers_of_a_network_are_listed_without_its_weights(run, tmp_path):
    answer = run("layers", "mobilenetv2")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "3,538,984 parameters" in answer.stdout
    assert "out_relu" in answer.stdout
    assert list(tmp_path.rglob("*.h5")) == []


def test_networks_lists_all_with_what_is_here(run):
    answer = run("networks")
    lines = answer.stdout.splitlines()
    assert len(lines) == 1 + len(NETWORKS)
    assert lines[1].split()[0] == DEFAULT
    assert lines[1].endswith(" here")
    vgg16 = next(line for line in lines if line.startswith("VGG16 "))
    assert vgg16.split()[1:3] == ["224", "138,357,544"]
    assert vgg16.endswith("to be downloaded")


def test_a_keras_file_with_labels_is_explained(run, tmp_path, photo):
    colour_network().model.save(tmp_path / "mine.keras")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    file = ["--network", tmp_path / "mine.keras", "--labels", tmp_path / "labels.txt"]
    answer = run("explain", photo, *file, "--class", "red", "--out", tmp_path / "out")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "red" in answer.stdout
    raw = np.load(tmp_path / "out" / "photo" / "maps.npz")
    assert raw["conv"].shape == (12, 12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--network", "VGG61"], "VGG16"),
        (["--network", "bundled"], f"{DEFAULT} took its place"),
        (["--class", "zzzzz"], "knows no class"),
        (["--layers", "block9_conv1"], "no layer 'block9_conv1'"),
        (["--opacity", "3"], "opacity"),
        (["--boxes", "2", "--network", "VGG61"], "a number above 0 and up to 1"),  # before anything is loaded
        (["--network", "missing.keras"], "missing.keras"),
    ],
)
def test_a_wrong_setting_is_one_line_on_standard_error(run, photo, tmp_path, arguments, sentence):
    answer = run("explain", photo, *arguments, "--out", tmp_path / "out")
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stderr.startswith("gradcam: ")
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr


def test_wrong_usage_exits_with_2_and_help_reads_well(run):
    assert run("explain").returncode == 2
    help_text = " ".join(run("explain", "--help").stdout.split())
    assert "most probable class" in help_text
    assert "(default: stages)" in help_text
    assert all(f"{measure} (" in help_text for measure in MEASURES)


def test_a_real_photo_is_named_by_a_real_network(shared, tmp_path):
    photo = shared / "photos" / "n04146614_school_bus.jpg"
    out = tmp_path / "out"
    answer = in_a_process("explain", photo, "--network", "MobileNetV2", "--out", out, KERAS_HOME=str(shared / "keras"))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "school bus" in answer.stdout
    folder = out / photo.stem
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["predictions"][0]["name"] == "school bus"
    assert [entry["layer"] for entry in manifest["maps"]][-1] == "out_relu"
    height, width = cv2.imread(str(photo)).shape[:2]
    for entry in manifest["maps"]:
        assert cv2.imread(str(folder / entry["overlay"])).shape == (height, width, 3)
        assert not entry["is_empty"]


def test_a_folder_that_cannot_be_written_does_not_stop_the_rest(run, tmp_path, photo):
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo").write_text("no folder")
    answer = run("explain", photo, other, "--layers", "last", "--out", tmp_path / "out")
    assert answer.returncode == 1
    (error,) = answer.stderr.splitlines()
    assert error.startswith(f"gradcam: {photo}: The folder ")
    assert "cannot be written" in error
    assert answer.stdout.splitlines()[-1] == "1 of 2 photos explained, 1 failed."
    assert (tmp_path / "out" / "other" / "manifest.json").exists()


def test_no_photos_name_leads_out_of_the_folder(run, tmp_path, photo):
    (tmp_path / "in").mkdir()
    names = ["...jpg", "..jpg", ".jpg", "....jpg", "a\nb.jpg", f"{'x' * 240}.jpg", "My Photo.jpg", "my photo.jpg"]
    photos = [tmp_path / "in" / name for name in names]
    for path in photos:
        path.write_bytes(photo.read_bytes())
    mine = tmp_path / "work" / "manifest.json"
    mine.parent.mkdir()
    mine.write_text("mine")
    out = tmp_path / "work" / "out"
    answer = run("explain", *photos, "--layers", "last", "--out", out)
    assert answer.returncode == 0
    assert mine.read_text() == "mine"
    assert sorted(path.name for path in mine.parent.iterdir()) == ["manifest.json", "out"]
    folders = {path.name.casefold() for path in out.iterdir()}
    assert {path.parent.name.casefold() for path in out.glob("*/manifest.json")} == folders
    assert len(folders) == len(photos)
    assert {"my photo", "my photo-2", "photo"} <= folders


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("arguments", [["networks"], ["layers", "MobileNetV2"], ["--help"]])
def test_an_output_that_is_full_ends_in_a_sentence(arguments, both):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "gradcam_core", *arguments],
            stdout=full,
            stderr=full if both else subprocess.PIPE,
            text=True,
            timeout=120,
            env=buffered,
        )
    assert answer.returncode == 1
    if not both:
        assert answer.stderr == "gradcam: the output cannot be written: No space left on device.\n"
