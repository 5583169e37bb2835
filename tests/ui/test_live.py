"""The frames of cameras, as the server explains them: each visitor's own, in turn, and after photos."""

import asyncio
import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tiny_networks import noise, oblong_network

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT
from ui import live as live_module
from ui.choices import Networks
from ui.doors import Doors, Refusal
from ui.live import Live
from ui.turns import Turns
from ui.uploads import Allowance


def frame_of(photo: np.ndarray) -> tuple[bytes, np.ndarray]:
    """A photo as the page sends a frame, and what its pixels are then."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=90)
    body = b"data:image/jpeg;base64," + base64.b64encode(file.getvalue())
    return body, gc.read_image(file.getvalue())


@pytest.fixture
def live():
    return Live(Networks("oblong.keras", oblong_network("softmax")), streams=2)


def begin(live: Live, **more: object) -> live_module.Stream:
    return live._open[live.begin({"network": "oblong", **more})["stream"]]


def test_a_frame_is_explained_as_the_photo_that_it_is(live):
    network = oblong_network("softmax")
    started = live.begin({"network": "oblong", "method": "layercam"})
    layers = gc.select(network, "stages")
    assert started["size"] == [12, 20]
    assert started["layers"] == [{"layer": layer.name, "stage": layer.stage} for layer in layers]
    body, photo = frame_of(noise(24, width=40))
    answer = json.loads(json.dumps(live.explain(live._open[started["stream"]], body)))
    expected = gc.explain(network, photo, method="layercam", top=3)
    assert answer["guesses"] == [{"name": one.name, "text": one.text} for one in expected.predictions]
    for found, heat_map in zip(answer["maps"], expected.maps.values(), strict=True):
        levels = np.frombuffer(base64.b64decode(found["heat"]), "<u2").reshape(found["cells"])
        assert np.abs(levels / 65535 - heat_map.heat).max() <= 0.51 / 65535 + 1e-6
        assert found["peak"] == pytest.approx(heat_map.peak, rel=1e-5)


def test_there_is_room_for_so_many_and_again_when_one_has_gone(live):
    first, _ = begin(live), begin(live)
    with pytest.raises(Refusal, match="2 visitors are live") as caught:
        begin(live)
    assert caught.value.status == 429
    del live._open[first.name]
    begin(live)


@pytest.mark.parametrize("name", ["seconds", "silence"])
def test_a_stream_ends_in_time_and_when_its_visitor_has_gone(monkeypatch, name):
    seconds = 0.05 if name == "seconds" else 100
    if name == "silence":
        monkeypatch.setattr(live_module, "SILENCE", 0.05)
    live = Live(Networks("oblong.keras", oblong_network("softmax")), streams=1, seconds=seconds)
    stream = begin(live)
    until = time.monotonic() + 5  # less than silence takes by itself
    while live._open and time.monotonic() < until:
        live._forget()
    with pytest.raises(Refusal, match="so that others have their turn") as caught:
        live._take(stream.name)
    assert caught.value.status == 410
    begin(live)


def test_a_visitor_sends_one_frame_at_a_time(live):
    stream = begin(live)
    live._take(stream.name)
    with pytest.raises(Refusal, match="The frame before") as caught:
        live._take(stream.name)
    assert caught.value.status == 409


def test_photos_go_first(live, monkeypatch):
    monkeypatch.setattr(live_module, "PATIENCE", 0.05)
    stream, (body, _) = begin(live), frame_of(noise(24, width=40))
    with live.turns.photo(), live.turns.photo():
        assert live.explain(stream, body) == {"guesses": [], "maps": []}
    monkeypatch.setattr(live_module, "PATIENCE", 60)
    answers: list[dict] = []
    waiting = threading.Thread(target=lambda: answers.append(live.explain(stream, body)))
    with live.turns.photo():
        waiting.start()
        waiting.join(0.1)
        assert answers == []
    waiting.join(30)
    assert len(answers[0]["maps"]) == 2


def test_a_photo_that_fails_lets_frames_go_on_when_there_is_no_other():
    turns = Turns()
    with turns.photo():
        with pytest.raises(KeyError), turns.photo():
            raise KeyError
        assert not turns.await_frame(0)
    assert turns.await_frame(0)


def test_frames_that_wait_for_photos_wait_together(live, monkeypatch):
    monkeypatch.setattr(live_module, "PATIENCE", 2)
    streams, (body, _) = [begin(live), begin(live)], frame_of(noise(24, width=40))
    with live.turns.photo():
        started = time.monotonic()
        for stream in streams:
            live._take(stream.name)
        for stream in streams:  # one after the other, as they are explained
            assert live.explain(stream, body)["maps"] == []
        assert 2 <= time.monotonic() - started < 3.5


def test_frames_that_come_at_once_are_explained_one_after_the_other(live, monkeypatch):
    streams, (body, _) = [begin(live), begin(live)], frame_of(noise(24, width=40))
    both, load, met = threading.Barrier(2), live._networks.load, []

    def meet(name: str) -> gc.Classifier:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.3)
            met.append(name)
        return load(name)

    monkeypatch.setattr(live._networks, "load", meet)
    with TestClient(Starlette(routes=live.routes)) as client, ThreadPoolExecutor(2) as visitors:
        answers = visitors.map(lambda one: client.post(f"{live_module.PATH}/{one.name}", content=body), streams)
        assert [len(answer.json()["maps"]) for answer in answers] == [2, 2]
    assert met == []


def test_an_address_may_have_all_streams_until_another_asks(live):
    streams = [live.begin({"network": "oblong"}, "one")["stream"] for _ in range(2)]
    with pytest.raises(Refusal, match="2 visitors are live"):
        live.begin({"network": "oblong"}, "one")
    other = live.begin({"network": "oblong"}, "other")["stream"]
    assert list(live._open) == [streams[1], other]  # its oldest had to go
    for address in ("one", "other", "third"):  # each has one: who came first stays
        with pytest.raises(Refusal, match="2 visitors are live"):
            live.begin({"network": "oblong"}, address)


def test_where_there_is_no_room_no_network_is_loaded(live, monkeypatch):
    begin(live), begin(live)
    monkeypatch.setattr(live._networks, "load", lambda _: pytest.fail("it was loaded"))
    with pytest.raises(Refusal, match="2 visitors are live"):
        begin(live)


def test_a_network_of_photos_that_are_too_large_is_refused_at_once(live, monkeypatch):
    monkeypatch.setattr(live_module, "FRAME_PIXELS", 239)
    with pytest.raises(gc.NetworkError, match="takes photos of 12 x 20 pixels, too many for a camera"):
        begin(live)
    assert not live._open


def test_what_is_set_under_more_reaches_the_maps(live):
    wish = {"network": "oblong", "score": "probability", "evidence": "against", "smoothing": "shifts"}
    started = live.begin(wish)
    assert started["about"] == (
        "Grad-CAM: what speaks against the most probable class of each frame, by its probability."
    )
    assert live.begin({"network": "oblong"})["about"].endswith(
        "speaks for the most probable class of each frame, by its score."
    )
    body, photo = frame_of(noise(24, width=40))
    answer = live.explain(live._open[started["stream"]], body)
    expected = gc.explain(oblong_network("softmax"), photo, score="probability", against=True)
    assert [found["peak"] for found in answer["maps"]] == [
        pytest.approx(heat_map.peak, rel=1e-5) for heat_map in expected.maps.values()
    ]
    assert any(found["peak"] for found in answer["maps"])
    with pytest.raises(gc.SettingError, match="The score is one of"):
        begin(live, score="loss")


def test_a_stream_keeps_its_network_when_another_visitor_begins_with_another(live):
    stream, _ = begin(live), begin(live, network=DEFAULT)
    body, photo = frame_of(noise(24, width=40))
    answer = live.explain(stream, body)
    expected = gc.explain(oblong_network("softmax"), photo, top=3)
    assert answer["guesses"] == [{"name": one.name, "text": one.text} for one in expected.predictions]
    assert [found["cells"] for found in answer["maps"]] == [list(one.raw.shape) for one in expected.maps.values()]


def test_a_stream_whose_maps_cannot_be_made_takes_no_room(live):
    with pytest.raises(gc.SettingError, match="Eigen-CAM is the same for every class"):
        begin(live, method="eigencam", evidence="against")
    assert not live._open


def test_a_frame_that_waits_for_long_is_no_silence(live, monkeypatch):
    monkeypatch.setattr(live_module, "SILENCE", -1)
    stream = live_module.Stream("oblong", {}, "", ends=time.monotonic() + 60, last=time.monotonic(), is_busy=True)
    live._open[stream.name] = stream
    live._forget()
    assert stream.name in live._open
    stream.is_busy = False
    live._forget()
    assert not live._open


def test_the_visitor_of_a_stream_is_whose_request_it_was(live):
    app = Starlette(routes=live.routes)
    for address in ("10.0.0.1", "10.0.0.2"):
        with TestClient(app, client=(address, 5000)) as client:
            assert client.post("/gradio_api/live", json={"network": "oblong"}).status_code == 200
    assert [stream.visitor for stream in live._open.values()] == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize("method", ["scorecam", "guided", "gradcan", None, 3])
def test_a_method_that_takes_many_passes_is_refused(live, method):
    with pytest.raises(gc.SettingError, match="a method of one pass"):
        begin(live, method=method)


@pytest.mark.parametrize("name", ["VGG16", "vgg16", " Vgg16"])
def test_a_network_that_would_have_to_be_fetched_is_refused(live, monkeypatch, tmp_path, name):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(live._networks, "load", lambda _: pytest.fail("it was fetched"))
    with pytest.raises(gc.NetworkError, match="not here yet"):
        begin(live, network=name)
    assert not live._open


def test_what_is_no_frame_is_refused(live):
    stream = begin(live)
    large = frame_of(np.zeros((1100, 1000, 3), np.uint8))[0]
    for body, sentence in (
        (b"hello", "A frame is a JPEG"),
        (b"data:image/jpeg;base64,%%%", "A frame is a JPEG"),
        (b"data:image/jpeg;base64," + b"A" * 600_000, "A frame is a JPEG"),
        (b"data:image/jpeg;base64,aGVsbG8=", "text, not a photo"),
        (large, "A frame has up to 1048576 pixels"),
    ):
        with pytest.raises(gc.PhotoError, match=sentence):
            live.explain(stream, body)


# --- the page ---


@pytest.fixture
def client(server):
    with httpx.Client(base_url=f"{server.url}/gradio_api", timeout=120) as client:
        yield client


def test_visitors_who_stream_at_once_get_the_maps_of_their_own_frames(client):
    network = gc.load(DEFAULT)

    def one(number: int) -> int:
        stream = client.post("/live", json={"network": DEFAULT, "method": "gradcam"}).json()["stream"]
        for turn in range(3):
            small = noise(7, seed=10 * number + turn)
            body, photo = frame_of(cv2.resize(small, (224, 224), interpolation=cv2.INTER_CUBIC))
            answer = client.post(f"/live/{stream}", content=body).json()
            expected = gc.explain(network, photo)
            assert answer["guesses"][0] == {"name": expected.target.name, "text": expected.target.text}
            last = np.frombuffer(base64.b64decode(answer["maps"][-1]["heat"]), "<u2")
            assert np.abs(last / 65535 - list(expected.maps.values())[-1].heat.ravel()).max() <= 2 / 255
        return client.post(f"/live/{stream}/end").status_code

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, range(3))) == [204] * 3


def test_whatever_is_sent_in_place_of_a_stream_there_is_a_sentence(server, client):
    before = server.log.read_text()
    stream = client.post("/live", json={"network": DEFAULT}).json()["stream"]
    for address, content, status, sentence in (
        ("/live", b"{", 400, "This is no call"),
        ("/live", b"[]", 400, "given by its name"),
        ("/live", b'{"network": "vgg"}', 400, "There is no network 'vgg'"),
        ("/live", b'{"network": "%s", "method": "scorecam"}' % DEFAULT.encode(), 400, "of one pass"),
        ("/live/gone", frame_of(noise(20))[0], 410, "Live ends after 3 minutes"),
        (f"/live/{stream}", b"", 400, "A frame is a JPEG"),
        (f"/live/{stream}", b"a" * 600_000, 413, "A frame has up to 512 KB"),
        ("/live/gone", b"a" * 600_000, 413, "A frame has up to 512 KB"),
        (f"/live/{stream}", b"[" * 60, 413, "in lists up to"),
    ):
        answer = client.post(address, content=content)
        assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.text
    assert client.post(f"/live/{stream}", content=frame_of(noise(20))[0]).json()["maps"]
    client.post(f"/live/{stream}/end")
    assert client.post(f"/live/{stream}", content=frame_of(noise(20))[0]).status_code == 410
    assert "Traceback" not in server.log.read_text().removeprefix(before)


def test_a_camera_takes_nothing_from_what_a_visitor_may_send_unless_it_is_made_up(live):
    allowance, sent, stream = Allowance(1e6, 60), [], begin(live).name

    async def app(scope, receive, send):
        sent.append((await receive())["body"])

    async def go(path: str, body: bytes) -> None:
        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": ("1.2.3.4", 5)}
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            return messages.pop()

        async def send(message):
            pytest.fail(f"refused: {message}")

        await Doors(app, allowance, {}, [], is_strict=False, is_frame=live.is_frame)(scope, receive, send)

    def left_after(path: str) -> float:
        with ThreadPoolExecutor(1) as other:  # the browser's driver has a loop in this one
            other.submit(asyncio.run, go(path, b"x" * 1000)).result()
        return allowance.left("1.2.3.4")

    assert left_after(f"/gradio_api/live/{stream}") == left_after(f"/gradio_api/live/{stream}/end") == 1e6
    for count, path in enumerate(("/gradio_api/call/explain", "/gradio_api/live/abc", "/gradio_api/live/"), 1):
        assert left_after(path) == 1e6 - 1000 * count
    assert sent == [b"x" * 1000] * 5
