"""A store of weights on this machine, which sends what the tests made, whole and broken."""

import http.server
import threading

import h5py
import numpy as np

from gradcam_core.networks import loading, zoo
from gradcam_core.networks.weights import WeightsFile


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


def assert_is_a_sentence(error, *words):
    text = str(error.value)
    assert all(word in text for word in ("SomeNet", *words)), text
    assert "EfficientNetLite0 works without a download." in text
    assert "\n" not in text
    assert text.count(". ") <= 1, text
    assert "urlopen" not in text
    assert "Errno" not in text
