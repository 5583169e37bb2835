"""The weights: fetched for real, used, and found to be damaged."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
from store import assert_is_a_sentence, cut_off, made, read, slow, stalled, status, wanted, whole

from gradcam_core.errors import WeightsError
from gradcam_core.networks import loading, weights, zoo
from gradcam_core.networks.weights import fetch

SHARED = Path(__file__).parents[3] / "shared"


def test_weights_are_fetched_once_and_are_the_makers(server, home, mobilenet, photo):
    model, content = mobilenet
    server.answer = whole(content)
    seen = []
    assert not zoo.weights_here("MobileNet")
    network = loading.load("MobileNet", progress=lambda *step: seen.append(step))
    assert server.requests == ["/tensorflow/keras-applications/mobilenet/mobilenet_1_0_224_tf.h5"]
    assert zoo.weights_here("mobilenet")
    assert [path.name for path in home.iterdir()] == ["mobilenet_1_0_224_tf.h5"]
    assert seen[0] == ("load", 0, 1)
    assert seen[-2] == ("download", len(content), len(content))
    assert seen[-1] == ("load", 1, 1)
    photo = network.to_input(photo)
    assert np.array_equal(network.model(photo), model(photo))

    assert loading.load("mobilenet") is network
    assert len(server.requests) == 1


def test_two_threads_fetch_and_load_once(server, home, mobilenet):
    at_once = threading.Barrier(2)
    server.answer = slow(mobilenet[1], pieces=4)

    def load(_):
        at_once.wait()
        return loading.load("MobileNet")

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(load, range(2))
    assert first is second
    assert len(server.requests) == 1


def test_a_damaged_file_here_is_replaced_by_a_good_one(server, home, mobilenet):
    content = mobilenet[1]
    home.mkdir(parents=True)
    path = home / "mobilenet_1_0_224_tf.h5"
    path.write_bytes(content[: len(content) // 3])
    server.answer = whole(content)
    assert loading.load("MobileNet").name == "MobileNet"
    assert path.read_bytes() == content


def test_weights_of_another_network_do_not_fit(server, home, content):
    server.answer = whole(content)
    with pytest.raises(WeightsError, match=r"MobileNet \(17 MB\) .* 0\.8 MB that arrived are damaged"):
        loading.load("MobileNet")
    assert list(home.iterdir()) == []
    assert len(server.requests) == 1


def test_efficientnet_gives_what_keras_gives_from_the_same_file(server, home, tmp_path, monkeypatch, photo):
    """Keras divides the input once more when it loads these weights itself; so do we."""
    from keras.src.utils import file_utils

    _, content = made("EfficientNetB0", tmp_path)
    path = tmp_path / "made.h5"
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(path))
    reference = keras.applications.EfficientNetB0(classifier_activation=None)

    entry = zoo.NETWORKS["EfficientNetB0"]
    entry = replace(entry, weights=replace(entry.weights, digest=hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(zoo, "NETWORKS", {"EfficientNetB0": entry})
    server.answer = whole(content)
    network = loading.load("EfficientNetB0")
    assert server.requests == ["/keras-applications/efficientnetb0.h5"]
    photo = network.to_input(photo)
    expected = reference(photo).numpy()
    assert np.allclose(network.model(photo), expected, rtol=0, atol=1e-3 * np.abs(expected).max())


def test_a_slow_server_shows_progress_that_grows(server, home, content, monkeypatch):
    server.answer = slow(content)
    steps, times, read_off = [], [], []

    def clock() -> float:
        read_off.append(time.monotonic())
        return read_off[-1]

    monkeypatch.setattr(weights, "time", SimpleNamespace(monotonic=clock, time=time.time))

    def progress(stage, done, total):
        assert stage == "download"
        assert total == len(content)
        steps.append(done)
        times.append(read_off[-1])  # when it was decided on, however long the test itself takes

    path = fetch(wanted(content), read, progress=progress)
    assert path == home / "some_net.h5"
    assert len(steps) >= 4
    assert steps == sorted(set(steps[:-1])) + steps[-1:]
    assert steps[-1] == len(content)
    assert min(np.diff(times[:-1])) >= 0.1  # not more than ten a second


def test_without_a_length_the_estimate_is_shown(server, home, content):
    def answer(handler):
        handler.start(None)
        handler.wfile.write(content)

    server.answer = answer
    steps = []
    fetch(wanted(content), read, progress=lambda *step: steps.append(step))
    assert steps[0][2] == len(content)
    assert steps[-1] == ("download", len(content), len(content))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (cut_off, "the connection was cut off after 0.4 of 0.8 MB"),
        (stalled, "the server sent nothing for 0.3 s after 0.4 of 0.8 MB"),
        (lambda content: whole(content[:-1000]), "that arrived are damaged"),
        (lambda content: whole(b"<html>Sign in to this hotel's network</html>"), "that arrived are damaged"),
        (lambda content: status(404), "the server answers 404 (not found)"),
        (lambda content: status(500), "the server answers 500"),
        (lambda content: lambda handler: handler.wfile.write(b"SSH-2.0\r\n"), "the connection was cut off"),
    ],
    ids=["cut off", "stalled", "short", "a page instead", "missing", "failing", "no web server"],
)
def test_a_broken_download_gets_its_sentence_and_the_next_try_works(server, home, content, broken, reason):
    server.answer = broken(content)
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read, timeout=0.3 if broken is stalled else 30)
    assert_is_a_sentence(error, "(0.8 MB) are not on this machine", f"{server.url}/store/of/some_net.h5", reason)
    assert list(home.iterdir()) == []

    server.answer = whole(content)
    assert fetch(wanted(content), read).read_bytes() == content


def test_content_with_another_digest_is_damaged(server, home, content):
    file = wanted(content, digest=hashlib.sha256(content).hexdigest())
    flipped = bytearray(content)
    flipped[500_000] ^= 1  # one bit of one value: the file opens and reads
    server.answer = whole(bytes(flipped))
    with pytest.raises(WeightsError, match="that arrived are damaged"):
        fetch(file, read)
    assert list(home.iterdir()) == []

    server.answer = whole(content)
    path = fetch(file, read)
    path.write_bytes(flipped)
    assert fetch(file, read).read_bytes() == content
    assert len(server.requests) == 3


def test_a_bit_that_flips_is_found_where_keras_knows_no_digest(server, home, content):
    flipped = bytearray(content)
    flipped[500_000] ^= 1
    home.mkdir(parents=True)
    path = home / "some_net.h5"
    path.write_bytes(content)
    fetch(wanted(content), read)  # it was here already, and works
    path.write_bytes(flipped)
    server.answer = whole(content)
    assert fetch(wanted(content), read).read_bytes() == content
    path.write_bytes(flipped)  # and the one that was fetched
    assert fetch(wanted(content), read).read_bytes() == content
    assert len(server.requests) == 2


def test_another_release_of_the_file_is_taken_once_the_old_one_is_gone(server, home, content, tmp_path):
    server.answer = whole(content)
    fetch(wanted(content), read).unlink()
    with h5py.File(tmp_path / "newer.h5", "w") as file:
        file["kernel"] = np.ones(100_000)
    newer = (tmp_path / "newer.h5").read_bytes()
    server.answer = whole(newer)
    for _ in range(2):
        assert fetch(wanted(content), read).read_bytes() == newer
    assert len(server.requests) == 2


def test_a_folder_that_is_read_only_stays_as_it_is(home, content):
    home.mkdir(parents=True)
    (home / "some_net.h5").write_bytes(content)
    home.parent.chmod(0o500)
    fetch(wanted(content), read)
    home.parent.chmod(0o700)
    assert [path.name for path in home.parent.iterdir()] == ["models"]


def test_the_folder_is_the_one_of_keras(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", "~/elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "elsewhere" / "models"
    monkeypatch.delenv("KERAS_HOME")
    assert weights.folder() == tmp_path / ".keras" / "models"


@pytest.mark.skipif(not (SHARED / "keras").is_dir(), reason="needs ../shared/keras, real weights of MobileNetV2")
def test_real_weights_name_the_school_bus(monkeypatch):
    from gradcam_core import read_image

    monkeypatch.setenv("KERAS_HOME", str(SHARED / "keras"))
    network = loading.load("MobileNetV2")
    photo = read_image(SHARED / "photos" / "n04146614_school_bus.jpg")
    assert network.predict(photo)[0].name == "school bus"


@pytest.mark.parametrize("mirror", ["http://mirror:8000/keras", "http://mirror:8000/keras/"])
def test_a_mirror_is_asked_for_the_address_that_the_store_has(monkeypatch, mirror):
    monkeypatch.setenv("GRADCAM_WEIGHTS_URL", mirror)
    file = zoo.NETWORKS["VGG16"].weights
    assert file.url == f"http://mirror:8000/keras/{file.address}"
