"""What several tests of networks need: a file of a tiny network, weights, a store that serves them."""

import threading

import h5py
import numpy as np
import pytest
from store import Store, made
from tiny_networks import seeded, small_model


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "mine.keras"
    seeded(small_model()).save(path)  # random weights may see nothing at all
    return path


@pytest.fixture
def loads():
    """A progress callback that collects the starts of a loading."""

    class Loads(list):
        def __call__(self, stage, done, total):
            if stage == "load" and done == 0:
                self.append(stage)

    return Loads()


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


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    return made("MobileNet", tmp_path_factory.mktemp("mobilenet"))


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
