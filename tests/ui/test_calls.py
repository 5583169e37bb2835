"""What the HTTP API answers, and how much it takes: the real page, over a network of a few hundred weights."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from callers import client_of
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from serving import free_port
from tiny_networks import deep_network, noise, staged_network

import gradcam_core as gc
from ui import page
from ui.answers import summarize
from ui.choices import Networks

OTHER = next(iter(gc.NETWORKS))


@pytest.fixture(scope="module")
def network() -> gc.Classifier:
    return gc.Classifier("own", deep_network().model, ["ape", "bee", "cow", "dog"])


@pytest.fixture(scope="module")
def client(network, tmp_path_factory):
    """The page runs in this process; all that it keeps lies in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("cache")))
        blocks, port = page.build(Networks(started=network)), free_port()
        settings = {**page.LAUNCH, "ssr_mode": False, "prevent_thread_lock": True}
        blocks.launch(server_name="127.0.0.1", server_port=port, **settings)
        yield client_of(f"http://127.0.0.1:{port}", download_files=str(tmp_path_factory.mktemp("answers")))
        blocks.close(verbose=False)


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """A portrait, of colours that are not the same when they are read from right to left."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray((noise(30)[:, :18] // (1, 2, 3)).astype(np.uint8)).save(path)
    return path


# --- what it answers ---


def test_the_picture_is_the_contact_sheet_of_the_maps(client, network, photo):
    summary, sheet, maps = client.predict(
        image=handle_file(photo), target=" cow ", instead_of="1", layers=["add2", "conv1"], method="layercam",
        api_name="/explain",
    )  # fmt: skip
    expected = gc.explain(network, photo, "cow", ["add2", "conv1"], method="layercam", instead_of="bee")
    heats = {name: heat_map.heat for name, heat_map in expected.maps.items()}
    wanted = gc.contact_sheet(expected.photo, heats).astype(int)
    picture = np.asarray(Image.open(sheet)).astype(int)
    assert picture.shape == wanted.shape
    assert np.abs(picture - wanted).max() <= 3
    with np.load(maps) as raw:
        assert raw.files == ["conv1", "add2"]
        for name, heat_map in expected.maps.items():
            np.testing.assert_allclose(raw[name], heat_map.raw, atol=1e-4 * np.abs(heat_map.raw).max())
    assert (summary["target"]["index"], summary["instead_of"]["index"]) == (2, 1)
    assert (summary["network"], summary["reading"]) == ("own", network.about)
    assert [entry["cell"] for entry in summary["maps"]] == [[30 / 16, 18 / 16], [30 / 8, 18 / 8]]


def test_a_blank_is_no_class(client, photo):
    summary, *_ = client.predict(
        image=handle_file(photo), target=" ", instead_of="  ", layers="last", api_name="/explain"
    )
    assert summary["target"] == summary["predictions"][0]
    assert summary["instead_of"] is None


def test_an_answer_says_where_the_reading_of_a_network_is_in_doubt(photo):
    network = staged_network(classes=1)
    summary = summarize(gc.explain(network, photo), network)
    assert (summary.notes, summary.reading) == (list(network.notes), network.about)
    assert any("shown as a value" in note for note in summary.notes)


def test_each_network_answers_with_its_own_classes(client, network, photo):
    for name in ("own", OTHER, "own"):
        of = network if name == "own" else gc.load(OTHER)
        found = client.predict(image=handle_file(photo), network=name, top=2, api_name="/predict")
        assert [guess["name"] for guess in found] == [guess.name for guess in of.predict(gc.read_image(photo), 2)]


def test_the_queue_takes_a_crowd_and_has_an_end(network):
    assert 200 <= (page.build(Networks(started=network))._queue.max_size or 10**9) <= 1000


def test_no_table_of_all_events_is_made_after_each(network):
    queue = page.build(Networks(started=network))._queue
    queue.events_recorded = 10_000
    event = {"function": "explain", "status": "success", "process_time": 1.0}
    assert queue.compute_analytics_summary([event]) == {"functions": {}}


# --- which photos it takes ---


FILE = {"_type": "gradio.FileData"}


def explain(client: Client, photo: object) -> str:
    """The end of what the server says to a call as a stranger would make it, with all arguments."""
    arguments = [photo, "own", "", "stages", "logit", "gradcam", "", 1.0, False, "none", None]
    address = f"{client.src.rstrip('/')}/gradio_api/call/explain"
    event = httpx.post(address, json={"data": arguments}, timeout=30).json()["event_id"]
    return httpx.get(f"{address}/{event}", timeout=60).text


def test_a_photo_that_was_uploaded_is_explained(client, photo):
    with photo.open("rb") as file:
        (path,) = httpx.post(f"{client.src.rstrip('/')}/gradio_api/upload", files={"files": file}, timeout=30).json()
    assert explain(client, {"path": path, "meta": FILE}).startswith("event: complete")


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"path": "{photo}"}, "Upload the picture as a file."),
        ({"path": "{photo}/../photo.png"}, "Upload the picture as a file."),
        ({"url": "file://{photo}"}, "Upload the picture as a file."),
        ({"path": "{server}/gradio_api/file={photo}"}, "Upload the picture as a file."),
        ({"path": "http://127.0.0.1:1/a.png", "meta": FILE}, "Web addresses are not fetched."),
        ({"path": "{server}/gradio_api/file={photo}", "meta": FILE}, "Web addresses are not fetched."),
        ({"path": "{photo}", "meta": FILE}, ""),
    ],
    ids=str,
)
def test_a_photo_of_the_servers_own_is_never_explained(client, photo, payload, sentence):
    """It is one that could be: only that it was not uploaded stands against it."""
    places = {"{photo}": str(photo), "{server}": client.src.rstrip("/")}
    text = json.dumps(payload)
    for name, place in places.items():
        text = text.replace(name, place)
    answer = explain(client, json.loads(text))
    assert answer.startswith("event: error")
    assert sentence in answer


# --- how much it takes ---


@pytest.mark.parametrize("steps", [1, 64])
def test_the_tests_take_from_1_to_64_steps(client, photo, steps):
    found = client.predict(image=handle_file(photo), layers="last", steps=steps, api_name="/test")
    assert len(found["random"]["deletion"]) == steps + 1


@pytest.mark.parametrize("steps", [0, 65, 10**9, True, 1.5, "16", None])
def test_no_other_number_of_steps_is_taken(client, photo, steps):
    with pytest.raises(AppError, match="steps is a whole number from 1 to 64"):
        client.predict(image=handle_file(photo), layers="last", steps=steps, api_name="/test")


@pytest.mark.parametrize(("top", "count"), [(1, 1), (3, 3), (1000, 4)])
def test_predict_takes_from_1_to_1000_classes(client, photo, top, count):
    assert len(client.predict(image=handle_file(photo), top=top, api_name="/predict")) == count


@pytest.mark.parametrize("top", [0, -1, 1001, True, 2.5, None])
def test_no_other_number_of_classes_is_taken(client, photo, top):
    with pytest.raises(AppError, match="top is a whole number from 1 to 1000"):
        client.predict(image=handle_file(photo), top=top, api_name="/predict")
