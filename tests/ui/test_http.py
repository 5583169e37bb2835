"""The HTTP API, called well and badly."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from callers import FILE, client_of, photo, upload
from PIL import Image

from gradcam_core.networks.zoo import DEFAULT


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return client_of(server.url, download_files=str(tmp_path_factory.mktemp("answers")))


def test_predict_gives_typed_predictions(client, photos):
    predictions = client.predict(image=photo(photos / "landscape.jpg"), api_name="/predict")
    assert len(predictions) == 5
    assert all(set(p) == {"index", "name", "wordnet_id", "probability", "value", "share", "text"} for p in predictions)
    probabilities = [p["probability"] for p in predictions]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(client.predict(image=photo(photos / "landscape.jpg"), top=2, api_name="/predict")) == 2


def test_explain_gives_a_summary_a_picture_and_the_maps(client, photos, stages):
    summary, sheet, raw = client.predict(image=photo(photos / "turned.jpg"), api_name="/explain")
    assert summary["network"] == DEFAULT
    assert summary["target"] == summary["predictions"][0]
    assert [entry["layer"] for entry in summary["maps"]] == [layer.name for layer in stages]
    assert summary["maps"][0]["cell"] == [640 / stages[0].shape[0], 480 / stages[0].shape[1]]
    assert Image.open(sheet).format == "PNG"
    maps = np.load(raw)
    for entry in summary["maps"]:
        heat = maps[entry["layer"]]
        assert heat.dtype == np.float32
        assert list(heat.shape) == entry["shape"][:2]
        assert max(float(heat.max()), 0) == pytest.approx(entry["peak"])


@pytest.mark.parametrize("target", ["teapot", "Teapot", "n04398044"])
def test_a_target_has_three_names(client, photos, target):
    summary, _, _ = client.predict(image=photo(photos / "landscape.jpg"), target=target, api_name="/explain")
    assert summary["target"]["name"] == "teapot"
    index = str(summary["target"]["index"])
    summary, _, _ = client.predict(image=photo(photos / "landscape.jpg"), target=index, api_name="/explain")
    assert summary["target"]["name"] == "teapot"


def test_layers_are_a_preset_or_names(client, photos, stages):
    image = photo(photos / "landscape.jpg")
    last, _, _ = client.predict(image=image, layers="last", score="probability", api_name="/explain")
    assert [entry["layer"] for entry in last["maps"]] == [stages[-1].name]
    assert last["score"] == "probability"
    named, _, _ = client.predict(image=image, layers=[stages[1].name, stages[0].name], api_name="/explain")
    assert [entry["layer"] for entry in named["maps"]] == [stages[0].name, stages[1].name]


def test_the_api_is_described_and_nothing_else_is_offered(client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    assert set(described) == {"/predict", "/explain", "/test"}
    parameters = {p["parameter_name"]: p for p in described["/explain"]["parameters"]}
    settings = ["score", "method", "instead_of", "weight", "against", "smoothing", "threshold"]
    assert list(parameters) == ["image", "network", "target", "layers", *settings]
    assert parameters["layers"]["python_type"]["type"] == "str | list[str]"
    assert all(p["parameter_has_default"] for name, p in parameters.items() if name != "image")
    assert "dict(" in described["/explain"]["returns"][0]["python_type"]["type"]


def refusal(client, **arguments) -> str:
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as caught:
        client.predict(**{"api_name": "/explain", **arguments})
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("cut.jpg", "is cut short"), ("text.jpg", "is text, not a photo"), ("huge.png", "megapixels")],
)
def test_a_bad_picture_is_refused_with_its_sentence(client, photos, name, sentence):
    for endpoint in ("/explain", "/predict"):
        assert sentence in refusal(client, image=photo(photos / name), api_name=endpoint)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"network": "vgg"}, "There is no network 'vgg'"),
        ({"network": ["VGG16"]}, "The network is given by its name"),
        ({"network": "/etc/passwd.keras"}, "There is no network"),
        ({"target": "teapto"}, "teapot"),
        ({"target": ["teapot"]}, "The target is given as text"),
        ({"target": {"a": 1}}, "The target is given as text"),
        ({"layers": "block"}, "has no layer"),
        ({"layers": [1, 2]}, "Layers are given"),
        ({"layers": {"a": 1}}, "Layers are given"),
        ({"layers": []}, "No layer is chosen"),
        ({"score": "loss"}, "score"),
        ({"score": ["logit"]}, "score"),
    ],
)
def test_a_wrong_argument_is_explained(client, photos, arguments, sentence):
    answer = refusal(client, image=photo(photos / "landscape.jpg"), **arguments)
    assert sentence.lower() in answer.lower()
    assert "internal" not in answer.lower()


@pytest.mark.parametrize("top", [0, -1, 1001, 2.5, "five", [5], True])
def test_a_wrong_count_is_explained(server, photos, top):
    uploaded = upload(server.url, photos / "landscape.jpg")
    answer = call(server, "predict", [{"path": uploaded, "meta": FILE}, DEFAULT, top])
    assert answer.startswith("event: error")


def call(server, endpoint: str, arguments: list) -> str:
    """What the server answers to a call as a stranger would make it."""
    started = httpx.post(f"{server.url}/gradio_api/call/{endpoint}", json={"data": arguments}, timeout=30)
    if started.status_code != 200:
        return f"event: error {started.text}"
    address = f"{server.url}/gradio_api/call/{endpoint}/{started.json()['event_id']}"
    return httpx.get(address, timeout=60).text


@pytest.mark.parametrize(
    "payload",
    [
        {"path": "/etc/hostname"},
        {"path": "/etc/hostname", "meta": FILE},
        {"path": "app.py", "meta": FILE},
        {"path": "http://127.0.0.1:1/a.jpg", "meta": FILE},
        {"path": "http://127.0.0.1:1/a.jpg"},
        {"url": "http://127.0.0.1:1/a.jpg", "meta": FILE},
        {"url": "data:image/png;base64,iVBORw0KGgo=", "meta": FILE},
        {"path": "data:image/png;base64,iVBORw0KGgo=", "meta": FILE},
        "/etc/hostname",
        ["/etc/hostname"],
        7,
    ],
)
@pytest.mark.parametrize("endpoint", ["predict", "explain"])
def test_no_path_of_the_server_and_no_address_can_be_read(server, endpoint, payload):
    more = [DEFAULT, 5] if endpoint == "predict" else [DEFAULT, "", "stages", "logit"]
    answer = call(server, endpoint, [payload, *more])
    assert answer.startswith("event: error")
    assert "hostname is" not in answer  # refused before it was opened
    assert socket.gethostname() not in answer


def test_the_photo_is_required(server):
    assert "There is no photo" in call(
        server, "explain", [None, DEFAULT, "", "stages", "logit", "gradcam", "", 1.0, False, "none", None]
    )


def test_steps_of_the_page_refuse_what_the_page_never_sends(server):
    """Private events have no name, but they can be called by number: with any type, and without a photo."""
    config = httpx.get(f"{server.url}/config", timeout=60).json()
    hostile = ["teapot", ["a", 3], {"path": "/etc/hostname"}, -5, 10**30, True, "../../x.keras"]
    private = [d for d in config["dependencies"] if d["backend_fn"] and d["api_visibility"] == "private"]
    assert len(private) >= 8
    with httpx.Client(base_url=f"{server.url}/gradio_api", timeout=30) as client:
        for value in hostile:  # of one kind of step, one is taken at a time
            for step in private:
                arguments = {"data": [value] * len(step["inputs"]), "fn_index": step["id"], "session_hash": "x"}
                assert client.post("/queue/join", json=arguments).status_code < 500
    with httpx.stream("GET", f"{server.url}/gradio_api/queue/data?session_hash=x", timeout=60) as events:
        messages = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    done = [message for message in messages if message["msg"] == "process_completed"]
    assert done
    assert not any("broke on our side" in json.dumps(message) for message in done)


def test_callers_at_once_get_their_own_answers(server, photos):
    def ask(name: str) -> tuple[str, list[float], list]:
        summary, _, _ = client_of(server.url).predict(image=photo(photos / name), api_name="/explain")
        return name, summary["maps"][0]["cell"], summary["predictions"]

    names = ["landscape.jpg", "turned.jpg", "moving.gif"] * 3
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, names))
    assert [name for name, _, _ in answers] == names
    by_name = {name: (cell, predictions) for name, cell, predictions in answers[:3]}
    assert len({tuple(cell) for cell, _ in by_name.values()}) == 3
    assert all(by_name[name] == (cell, predictions) for name, cell, predictions in answers)
