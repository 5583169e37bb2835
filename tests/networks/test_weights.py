"""The weights: fetched for real from a server on this machine that serves what the tests made, whole and broken."""

import hashlib
import http.server
import os
import re
import resource
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from gradcam_core.errors import WeightsError
from gradcam_core.networks import loading, weights, zoo
from gradcam_core.networks.weights import WeightsFile, fetch

SHARED = Path(__file__).parents[3] / "shared"


class Store(http.server.ThreadingHTTPServer):
    """A server whose answers the test chooses: ``answer`` gets the request's handler."""

    daemon_threads = True

    def __init__(self):
        self.requests = []
        self.answer = None
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.answer(self)

    def log_message(self, *_):
        pass

    def start(self, length):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()


def whole(content):
    def answer(handler):
        handler.start(len(content))
        handler.wfile.write(content)

    return answer


def cut_off(content):
    def answer(handler):
        handler.start(len(content))
        handler.wfile.write(content[: len(content) // 2])

    return answer


def slow(content, pieces=20, pause=0.03):
    def answer(handler):
        handler.start(len(content))
        for piece in range(pieces):
            handler.wfile.write(content[piece * len(content) // pieces : (piece + 1) * len(content) // pieces])
            handler.server.over.wait(pause)

    return answer


def stalled(content):
    def answer(handler):
        handler.start(len(content))
        handler.wfile.write(content[: len(content) // 2])
        handler.server.over.wait()

    return answer


def status(code):
    return lambda handler: handler.send_error(code)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A KERAS_HOME of the test's own; the folder of weights in it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def server(home, monkeypatch):
    with Store() as store:
        monkeypatch.setenv("GRADCAM_WEIGHTS_URL", store.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = threading.Thread(target=store.serve_forever, args=(0.01,))
        thread.start()
        yield store
        store.over.set()
        store.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A small file of weights: 800 kB."""
    path = tmp_path_factory.mktemp("made") / "made.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.random.default_rng(0).normal(size=100_000)
    return path.read_bytes()


def wanted(content, *, digest=None):
    return WeightsFile("SomeNet", "some_net.h5", "store/of/some_net.h5", len(content), digest)


def read(path):
    """Uses a file as Keras does: opens it and reads all values."""
    with h5py.File(path) as file:
        assert np.isfinite(file["kernel"][:]).all()


def made(name, folder):
    """A network with random weights as Keras builds it for its own weights, and its file of weights."""
    model = loading.build(zoo.NETWORKS[name])
    rng = np.random.default_rng(1)
    for variable in model.weights:  # batch normalisation is no identity
        if variable.name in ("gamma", "moving_variance", "variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    path = folder / "made.h5"
    model.save(path)
    return model, path.read_bytes()


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    return made("MobileNet", tmp_path_factory.mktemp("mobilenet"))


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)


def assert_is_a_sentence(error, *words):
    text = str(error.value)
    assert all(word in text for word in ("SomeNet", *words)), text
    assert "EfficientNetLite0 works without a download." in text
    assert "\n" not in text
    assert text.count(". ") <= 1, text
    assert "urlopen" not in text
    assert "Errno" not in text


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


def test_a_slow_server_shows_progress_that_grows(server, home, content):
    server.answer = slow(content)
    steps, times = [], []

    def progress(stage, done, total):
        assert stage == "download"
        assert total == len(content)
        steps.append(done)
        times.append(time.monotonic())

    path = fetch(wanted(content), read, progress=progress)
    assert path == home / "some_net.h5"
    assert len(steps) >= 4
    assert steps == sorted(set(steps[:-1])) + steps[-1:]
    assert steps[-1] == len(content)
    assert min(np.diff(times[:-1])) >= 0.09  # not more than ten a second


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
        fetch(wanted(content), read, timeout=0.3)
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


def endless(announced: int | None):
    """Sends for as long as somebody takes it."""

    def answer(handler):
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(announced))
        handler.end_headers()
        handler.server.sent = 0
        try:
            while not handler.server.over.is_set():
                handler.wfile.write(bytes(1 << 20))
                handler.server.sent += 1 << 20
        except OSError:
            handler.close_connection = True

    return answer


@pytest.mark.parametrize("announced", [None, 10**10])
def test_a_server_that_never_ends_is_left_soon(server, home, content, announced):
    server.answer = endless(announced)
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "MB or more, and the file has 0.8 MB")
    assert server.sent < 40e6  # what lies in the buffers of the connection comes on top
    assert list(home.iterdir()) == []


def test_a_good_file_here_needs_no_server(home, content, monkeypatch):
    monkeypatch.setenv("GRADCAM_WEIGHTS_URL", "http://127.0.0.1:1")
    home.mkdir(parents=True)
    (home / "some_net.h5").write_bytes(content)
    assert fetch(wanted(content), read) == home / "some_net.h5"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1", "the connection was refused"),
        ("http://no-such-host.invalid", "the server is not known here, or there is no network"),
        ("no-url", "there is no connection (unknown url type"),
    ],
)
def test_without_a_network_the_sentence_says_what_works(home, content, monkeypatch, url, reason):
    monkeypatch.setenv("GRADCAM_WEIGHTS_URL", url)
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "(0.8 MB) are not on this machine", reason)
    assert list(home.iterdir()) == []


def test_a_damaged_file_without_a_network_is_removed_and_said(server, home, content):
    home.mkdir(parents=True)
    (home / "some_net.h5").write_bytes(content[:5000])
    server.answer = status(503)
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "on this machine were damaged and have been removed", "503")
    assert list(home.iterdir()) == []


def test_what_progress_raises_cancels_the_download(server, home, content):
    server.answer = stalled(content)

    def cancel(stage, done, total):
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        fetch(wanted(content), read, progress=cancel)
    assert list(home.iterdir()) == []


def test_too_little_disk_is_said_before_anything_is_fetched(server, home, content):
    server.answer = lambda handler: handler.start(10**17)  # no disk holds that
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "need 100000000000 MB", "MB are free")
    assert list(home.iterdir()) == []


def test_a_write_that_fails_on_the_way_is_said(server, home, content):
    server.answer = whole(content)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(WeightsError) as error:
            fetch(wanted(content), read)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_is_a_sentence(error, "could not be stored", "file too large")
    assert list(home.iterdir()) == []


def test_a_disk_that_others_fill_meanwhile_ends_the_download(server, home, content, monkeypatch):
    """No disk can be filled here for real, so what it says of itself is made up: full once a fifth has come."""
    real, sent = shutil.disk_usage, []

    def disk_usage(path):
        there = sum(part.stat().st_size for part in home.iterdir())
        return real(path)._replace(free=len(content) if there < len(content) / 5 else 1000)

    def answer(handler):
        handler.start(len(content))
        for start in range(0, len(content), len(content) // 20):
            try:
                handler.wfile.write(content[start : start + len(content) // 20])
            except OSError:  # nobody listens any more
                return
            sent.append(start)
            handler.server.over.wait(0.06)

    monkeypatch.setattr(weights.shutil, "disk_usage", disk_usage)
    server.answer = answer
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "0.0 MB are free", "Make room, or set KERAS_HOME")
    assert re.search(r"need 0\.[3-7] MB more", str(error.value))  # what is still to come, and not all of it
    assert list(home.iterdir()) == []
    assert len(sent) < 20


def test_a_home_that_cannot_be_written_is_said(tmp_path, monkeypatch, content):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "cannot be written (not a directory)", "KERAS_HOME")


def test_parts_that_killed_processes_left_are_removed(server, home, content):
    home.mkdir(parents=True)
    dead, alive = home / "some_net.1234abcd.part.h5", home / "some_net.5678abcd.part.h5"
    for part in (dead, alive):
        part.write_bytes(content[:1000])
    os.utime(dead, (time.time() - 7200,) * 2)
    server.answer = whole(content)
    fetch(wanted(content), read)
    assert {path.name for path in home.iterdir()} == {alive.name, "some_net.h5"}


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
